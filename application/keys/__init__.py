"""Signing keys and master secrets."""
