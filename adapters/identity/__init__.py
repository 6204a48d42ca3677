"""Who the user is: the built-in accounts, and the ways a host application brings its own."""
