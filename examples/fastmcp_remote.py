"""A FastMCP server whose authorization server is another process; see remote.py.

Run `python examples/fastmcp_remote.py`.
"""

from fastmcp import FastMCP

from grantledger import McpAuthClient, current_session, fastmcp_auth
from remote import ISSUER, PORT, RESOURCE, print_next_step

notes: FastMCP = FastMCP("Notes", auth=fastmcp_auth(McpAuthClient(issuer=ISSUER, resource=RESOURCE)))


@notes.tool
def whoami() -> str:
    """Return the user who made this call."""
    session = current_session()
    assert session is not None  # the guard lets no other call through
    return str(session.user_id)


if __name__ == "__main__":
    print_next_step()
    notes.run("http", port=PORT, stateless_http=True, show_banner=False)
