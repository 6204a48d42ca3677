import asyncio
import os
import sys
from pathlib import Path

import rich_click as click

from grantledger.adapters.identity.argon2_hasher import PasswordTooLong
from grantledger.application.email_address import EmailInvalid
from grantledger.application.open_account import MIN_PASSWORD, EmailTaken, PasswordTooShort
from grantledger.application.provenance import Caller
from grantledger.entrypoints.cli.options import database_options, given
from grantledger.entrypoints.container import Container, build_container
from grantledger.entrypoints.server import ledger_open
from grantledger.entrypoints.settings import load_settings


@click.group()
def user() -> None:
    """The users of the built-in sign-in."""


@user.command()
@click.argument("email")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, to its first line end."
)
@database_options
def add(email: str, password_stdin: bool, database: str | None, config: Path | None) -> None:
    """Open an account for EMAIL. The password is asked for, and never shown."""
    settings = load_settings(config, os.environ, given(database=database))
    password = sys.stdin.readline().rstrip("\n") if password_stdin else _asked_for()
    try:
        user_id = asyncio.run(_open(build_container(settings), email, password))
    except EmailInvalid:
        raise click.ClickException(f"{email!r} is not an e-mail address") from None
    except EmailTaken:
        raise click.ClickException(f"there is an account for {email} already") from None
    except PasswordTooShort:
        raise click.ClickException(f"a password needs at least {MIN_PASSWORD} characters") from None
    except PasswordTooLong:
        raise click.ClickException("a password may have 1024 bytes at most") from None
    click.echo(f"{user_id} can sign in as {email}")


def _asked_for() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


async def _open(container: Container, email: str, password: str) -> str:
    async with ledger_open(container):
        return await container.open_account()(email, password, Caller(correlation_id="cli"))
