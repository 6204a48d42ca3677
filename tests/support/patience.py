"""How long a test waits for what must come."""

PATIENCE = 90
"""Seconds after which something counts as never coming, on however busy a machine."""
