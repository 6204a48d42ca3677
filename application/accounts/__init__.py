"""User accounts, of the built-in sign-in and of a host application, and their browser sessions."""
