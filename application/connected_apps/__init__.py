"""What a user has allowed clients, and how it ends."""
