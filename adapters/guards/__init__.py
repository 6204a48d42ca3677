"""What protects an MCP server: checks bearer tokens and answers with the challenge."""
