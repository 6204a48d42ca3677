"""`grantledger doctor`: examine an MCP server and its authorization server from the outside, as clients do.

Needs only what a guard needs: no part of the authorization server is imported.
"""
