"""Prints how to connect a real client to the demo."""

import json
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from grantledger.entrypoints.demo.demo_settings import NOTES_PATH, TO_DO_PATH


def print_how_to_connect(console: Console, origin: str, database: Path, email: str, password: str) -> None:
    """Print each command on one line, so that it can be copied."""
    todo, notes = f"{origin}{TO_DO_PATH}", f"{origin}{NOTES_PATH}"
    vs_code = json.dumps({"name": "demo-todo", "type": "http", "url": todo}, separators=(",", ":"))
    mcp_json = json.dumps({"servers": {"demo-todo": {"type": "http", "url": todo}}})
    _way(
        console,
        "Connect your own client. When its browser asks you to sign in, use",
        f"e-mail    {email}",
        f"password  {password}",
    )
    _way(
        console,
        "Claude Code, then /mcp to sign in",
        f"claude mcp add --transport http demo-todo {todo}",
        f"claude mcp add --transport http demo-notes {notes}",
    )
    _way(
        console,
        "VS Code, or the same in .vscode/mcp.json",
        f"code --add-mcp {shlex.quote(vs_code)}",
        mcp_json,
    )
    _way(
        console,
        "MCP Inspector with Node.js 22.19 or newer (older: docs/quickstart.md); switch on the listed server",
        f"npx @modelcontextprotocol/inspector --transport http --server-url {todo}",
    )
    _way(
        console,
        "Clients that only support stdio: use this as their command",
        f"npx mcp-remote {todo}",
    )
    _way(
        console,
        "See and disconnect connected apps; this asks for the password again",
        f"{origin}/authorize/account",
    )
    _way(
        console,
        "Read the ledger, in another terminal",
        f"{_this_command()} ledger show --database {shlex.quote(str(database))}",
    )


def _this_command() -> str:
    """Return the command that runs `grantledger` in the environment of the demo."""
    if shutil.which("grantledger"):
        return "grantledger"
    here = Path(sys.argv[0])
    if here.name != "grantledger":
        return f"{shlex.quote(sys.executable)} -m grantledger"
    return shlex.quote(str(here))


def _way(console: Console, what: str, *lines: str) -> None:
    console.print(f"[bold]{escape(what)}[/]")
    for line in lines:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print()
