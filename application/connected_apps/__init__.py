"""What a user has allowed clients, and how the user withdraws it."""
