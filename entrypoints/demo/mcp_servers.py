"""Two small MCP servers with the official SDK: plain SDK code, except for `@requires`."""

from collections import defaultdict

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from grantledger.adapters.guards.requires import requires
from grantledger.entrypoints.demo.demo_settings import ADMIN, NOTES_SCOPE, TO_DO_WRITE


def todo_server(auth: AuthSettings, token_verifier: TokenVerifier) -> MCPServer[None]:
    todos: dict[str | None, list[str]] = defaultdict(list)
    server = MCPServer[None]("To-do list", auth=auth, token_verifier=token_verifier, log_level="WARNING")

    @server.tool()
    def whoami() -> str:
        """Say who is calling. Needs what every call here needs, the scope todo:read."""
        token = _caller()
        return f"{token.subject}, through {token.client_id}, allowed: {' '.join(token.scopes)}"

    @server.tool()
    @requires(TO_DO_WRITE)
    def add_todo(text: str) -> str:
        """Add a line to your to-do list. Needs the scope todo:write."""
        own = todos[_caller().subject]
        own.append(text)
        return f"{len(own)} to do: {'; '.join(own)}"

    @server.tool()
    @requires(TO_DO_WRITE, roles=ADMIN)
    def delete_all_todos() -> str:
        """Delete the lines of all users. Only for users with the role admin."""
        todos.clear()
        return "nothing left to do"

    return server


def notes_server(auth: AuthSettings, token_verifier: TokenVerifier) -> MCPServer[None]:
    notes: dict[str | None, list[str]] = defaultdict(list)
    server = MCPServer[None]("Notes", auth=auth, token_verifier=token_verifier, log_level="WARNING")

    @server.tool()
    def list_notes() -> str:
        """Read your notes. Needs nothing but an access token for this server."""
        return "\n".join(notes[_caller().subject]) or "no notes yet"

    @server.tool()
    @requires(NOTES_SCOPE)
    def write_note(text: str) -> str:
        """Write a note. Needs the scope notes:write."""
        notes[_caller().subject].append(text)
        return "noted"

    return server


def _caller() -> AccessToken:
    """Return the access token of the call."""
    token = get_access_token()
    if token is None:
        raise ToolError("This tool needs an access token.")
    return token
