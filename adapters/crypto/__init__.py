"""Keys, seals, derived tokens and password hashes."""
