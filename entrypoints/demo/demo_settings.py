"""The settings of the demo: a temporary ledger, and two MCP servers at the server's own origin."""

from pathlib import Path

from grantledger.entrypoints.settings import ConfiguredRole, ProtectedResource, Settings

HOST = "127.0.0.1"
REALM = Settings().realm  # the default, so that the commands that the demo prints need no realm
TO_DO_PATH = "/mcp"
TO_DO_READ = "todo:read"
TO_DO_WRITE = "todo:write"
NOTES_PATH = "/notes/mcp"
NOTES_SCOPE = "notes:write"
ADMIN = "admin"
"""A role that the demo user does not have."""


def origin_at(port: int) -> str:
    return f"http://{HOST}:{port}"


def database_in(directory: Path) -> Path:
    return directory / "grantledger.sqlite3"


def demo_settings(port: int, directory: Path) -> Settings:
    """Files and variables are not read, so that the demo is the same everywhere."""
    return Settings(
        host=HOST,
        port=port,
        realm=REALM,
        database=str(database_in(directory)),
        log_level="warning",  # the demo prints what happens; the log is printed only if the server fails
        roles={ADMIN: ConfiguredRole()},
        resources=(
            ProtectedResource(f"{origin_at(port)}{TO_DO_PATH}", "To-do list", (TO_DO_READ, TO_DO_WRITE)),
            ProtectedResource(f"{origin_at(port)}{NOTES_PATH}", "Notes", (NOTES_SCOPE,)),
        ),
    )
