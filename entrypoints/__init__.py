"""Where everything is put together: the container, the server, the embedded form, the command line."""
