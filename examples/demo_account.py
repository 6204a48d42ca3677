"""What the examples share: an account to sign in with, and the database for the ledger."""

import asyncio
import os
import secrets

from grantledger import AuthorizationServer, Caller
from grantledger.application.accounts.open_account import EmailTaken

DATABASE = os.environ.get("GRANTLEDGER_DATABASE", ":memory:")
"""By default the ledger is in memory, and lost when the process ends. Behind a proxy it must be a file."""

EMAIL = "ada@example.com"
CALLER = Caller(correlation_id="example", operator="example")


def open_demo_account(server: AuthorizationServer) -> None:
    """Open an account and print its password: the one in EXAMPLE_PASSWORD, or a random one."""
    password = os.environ.get("EXAMPLE_PASSWORD") or secrets.token_urlsafe(12)
    try:
        asyncio.run(_open(server, password))
    except EmailTaken:  # the ledger is a file, and this is not the first start
        password = "the password of the first start"
    print_next_step(server.resource().identifier, EMAIL, password)


def print_next_step(resource: str, user: str, password: str) -> None:
    print(f"Connect an MCP client to {resource}", flush=True)
    print(f"Sign in as {user} with {password}", flush=True)


async def _open(server: AuthorizationServer, password: str) -> None:
    async with server:
        await server.use_cases.open_account(EMAIL, password, CALLER)
