"""`grantledger demo`: a server, two MCP servers and a client that walks the whole flow."""
