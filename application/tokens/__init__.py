"""The token endpoint's use cases, and what an access token gives."""
