"""Users of the built-in identity and of a host, and their browser sessions."""
