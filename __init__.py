"""Grantledger: an OAuth 2.1 authorization server for MCP whose memory is a ledger that can be replayed."""

__version__ = "0.1.0"
