"""An MCP server of mcp-use, whose authorization server is another process; see remote.py.

Run `python examples/mcp_use_server.py` in an environment of its own: mcp-use 1.x needs version 1 of the `mcp`
SDK. The guard around the application answers 401, 403 and 503. mcp-use keeps MCP sessions: its
`require_auth()` returns the token that opened the session, and only the same user and client may use it.
"""

import uvicorn
from mcp_use.server import MCPServer
from mcp_use.server.auth import require_auth

from grantledger import McpAuthClient, with_mcp_auth
from grantledger.adapters.guards.mcp_use import McpUseAuth
from remote import ISSUER, PORT, RESOURCE, print_next_step

auth = McpAuthClient(issuer=ISSUER, resource=RESOURCE)
notes = MCPServer("Notes", auth=McpUseAuth(auth))


@notes.tool()  # type: ignore[untyped-decorator] # mypy has no mcp-use
def whoami() -> str:
    """Return the user who made this call."""
    return str(require_auth().claims["sub"])


app = with_mcp_auth(notes.streamable_http_app(), auth)


if __name__ == "__main__":
    print_next_step()
    uvicorn.run(app, host="127.0.0.1", port=PORT, access_log=False, proxy_headers=False)
