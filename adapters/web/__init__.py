"""What the HTTP adapters and the guards have in common."""
