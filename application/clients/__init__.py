"""Registration, authentication and administration of clients."""
