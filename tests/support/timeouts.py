"""How long a test waits."""

TIMEOUT = 90
"""Seconds after which a test gives up, even on a busy machine."""
