"""A FastMCP server and its authorization server in one process.

Run `python examples/fastmcp_embedded.py`. The ledger is in memory.
"""

from fastmcp import FastMCP

from demo_account import DATABASE, open_demo_account
from grantledger import AuthorizationServer, current_session, fastmcp_auth

server = AuthorizationServer.from_environment(database=DATABASE)
notes: FastMCP = FastMCP("Notes", auth=fastmcp_auth(server))


@notes.tool
def whoami() -> str:
    """Return the user who made this call."""
    session = current_session()
    assert session is not None  # the guard lets no other call through
    return str(session.user_id)


if __name__ == "__main__":
    open_demo_account(server)
    where = server.settings
    notes.run("http", host=where.host, port=where.port, stateless_http=True, show_banner=False)
