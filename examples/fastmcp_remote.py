"""A FastMCP server whose authorization server is elsewhere; see remote.py for how to start that.

Run `python examples/fastmcp_remote.py` and connect an MCP client to http://127.0.0.1:9000/mcp.
"""

from fastmcp import FastMCP

from grantledger import McpAuthClient, current_session, fastmcp_auth
from remote import ISSUER, PORT, RESOURCE

notes: FastMCP = FastMCP("Notes", auth=fastmcp_auth(McpAuthClient(issuer=ISSUER, resource=RESOURCE)))


@notes.tool
def whoami() -> str:
    """Return the user who made this call."""
    session = current_session()
    assert session is not None  # the guard lets no other call through
    return str(session.user_id)


if __name__ == "__main__":
    notes.run("http", port=PORT, show_banner=False)
