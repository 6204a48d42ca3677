"""The authorization server of the remote examples, in a process of its own.

Run `python examples/issuer.py` in one terminal and a remote example in another: fastmcp_remote.py,
sdk_remote.py, fastapi_app.py, django_app.py, flask_app.py or mcp_use_server.py. The ledger is in memory.
"""

from demo_account import DATABASE, open_demo_account
from grantledger import AuthorizationServer, ProtectedResource
from remote import PORT, RESOURCE

server = AuthorizationServer.from_environment(
    database=DATABASE, resources=(ProtectedResource(RESOURCE, "Notes", ("notes:read",)),)
)


if __name__ == "__main__":
    print(f"Start an MCP server at port {PORT} in another terminal: python examples/fastmcp_remote.py")
    open_demo_account(server)
    server.run()
