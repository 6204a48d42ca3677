"""An MCP server and its authorization server in one process, with the official `mcp` SDK.

Run `python examples/mcp_server.py`. The ledger is in memory.
"""

from mcp.server.mcpserver import MCPServer

from demo_account import DATABASE, open_demo_account
from grantledger import AuthorizationServer, current_session

server = AuthorizationServer.from_environment(database=DATABASE)
notes = MCPServer("Notes")


@notes.tool()
def whoami() -> str:
    """Return the user who made this call."""
    session = current_session()
    assert session is not None  # the guard lets no other call through
    return str(session.user_id)


if __name__ == "__main__":
    open_demo_account(server)
    app = notes.streamable_http_app(streamable_http_path="/mcp", stateless_http=True)
    server.run([server.mount(app, lifespan=lambda: app.router.lifespan_context(app))])
