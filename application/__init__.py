"""One file per use case, and the ports that say what the use cases need from outside."""
