"""Master secrets, and what is derived, sealed and signed with keys."""
