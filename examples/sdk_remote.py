"""An MCP server of the official SDK, whose authorization server is another process; see remote.py.

Run `python examples/sdk_remote.py`. The guard around the application answers 401, 403 and 503; the SDK needs
no settings for that.
"""

import uvicorn
from mcp.server.mcpserver import MCPServer

from grantledger import McpAuthClient, current_session, with_mcp_auth
from remote import ISSUER, PORT, RESOURCE, print_next_step

notes = MCPServer("Notes")


@notes.tool()
def whoami() -> str:
    """Return the user who made this call."""
    session = current_session()
    assert session is not None  # the guard lets no other call through
    return str(session.user_id)


app = with_mcp_auth(
    notes.streamable_http_app(streamable_http_path="/mcp", stateless_http=True),
    McpAuthClient(issuer=ISSUER, resource=RESOURCE),
)


if __name__ == "__main__":
    print_next_step()
    uvicorn.run(app, host="127.0.0.1", port=PORT, access_log=False, proxy_headers=False)
