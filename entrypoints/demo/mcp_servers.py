"""Two small MCP servers with the official SDK: plain SDK code, no part of which is Grantledger's."""

from collections import defaultdict

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from grantledger.entrypoints.demo.demo_settings import NOTES_SCOPE, TO_DO_SCOPE


def todo_server(auth: AuthSettings, token_verifier: TokenVerifier) -> MCPServer[None]:
    todos: dict[str | None, list[str]] = defaultdict(list)
    server = MCPServer[None]("To-do list", auth=auth, token_verifier=token_verifier, log_level="WARNING")

    @server.tool()
    def whoami() -> str:
        """Say who is calling. Needs nothing but an access token for this server."""
        token = _caller()
        return f"{token.subject}, through {token.client_id}, allowed: {' '.join(token.scopes)}"

    @server.tool()
    def add_todo(text: str) -> str:
        """Add a line to your to-do list. Needs the scope todo:write."""
        own = todos[_caller(TO_DO_SCOPE).subject]
        own.append(text)
        return f"{len(own)} to do: {'; '.join(own)}"

    return server


def notes_server(auth: AuthSettings, token_verifier: TokenVerifier) -> MCPServer[None]:
    notes: dict[str | None, list[str]] = defaultdict(list)
    server = MCPServer[None]("Notes", auth=auth, token_verifier=token_verifier, log_level="WARNING")

    @server.tool()
    def list_notes() -> str:
        """Read your notes. Needs nothing but an access token for this server."""
        return "\n".join(notes[_caller().subject]) or "no notes yet"

    @server.tool()
    def write_note(text: str) -> str:
        """Write a note. Needs the scope notes:write."""
        notes[_caller(NOTES_SCOPE).subject].append(text)
        return "noted"

    return server


def _caller(scope: str | None = None) -> AccessToken:
    """Return the access token of the call, if it has the scope."""
    token = get_access_token()
    if token is None:
        raise ToolError("This tool needs an access token.")
    if scope is not None and scope not in token.scopes:
        raise ToolError(
            f"This tool needs the scope {scope}, and the access token has: {' '.join(token.scopes)}."
        )
    return token
