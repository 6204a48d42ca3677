"""The server inside another program."""
