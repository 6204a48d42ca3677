"""Guards: protect an MCP server by checking the access token of each request."""
