"""Clients and grants as of a moment in the past."""
