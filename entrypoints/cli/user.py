"""`grantledger user`."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from grantledger.application.accounts.open_account import EmailTaken
from grantledger.application.provenance import Caller
from grantledger.domain.email_address import EmailInvalid
from grantledger.domain.password import (
    MAX_PASSWORD_BYTES,
    MIN_PASSWORD,
    PasswordTooLong,
    PasswordTooShort,
)
from grantledger.domain.user_account import UserAccount
from grantledger.entrypoints.cli.failures import AddressRefused, PasswordRefused
from grantledger.entrypoints.cli.ledger_access import (
    KnownAs,
    UserNames,
    database_options,
    found_user,
    json_option,
    on_ledger,
    settings_of,
    this_command,
    wiring,
)
from grantledger.entrypoints.cli.output import (
    Columns,
    Part,
    Record,
    items_of,
    part_options,
    print_list,
    print_record,
    printable,
    to_minute,
)

if TYPE_CHECKING:
    from grantledger.entrypoints.composition import Container

_COLUMNS: Columns = {
    "user": itemgetter("user_id"),
    "e-mail or host's id": lambda user: user["email"] or user["host_user_id"],
    "opened": lambda user: to_minute(user["opened_at"]),
    "status": itemgetter("status"),
}


UseCase = Callable[[str, Caller], Awaitable[None]]

_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


@click.group()
def user() -> None:
    """Add, list, disable and enable users, and change their passwords.

    USER is an id, an e-mail address, or the id of the user at the host application.
    """


@user.command()
@click.argument("email")
@_password_stdin
@json_option
@database_options
def add(
    email: str, *, password_stdin: bool, as_json: bool, database: str | None, config: Path | None
) -> None:
    """Open an account for EMAIL. The command asks for the password, and never shows it."""
    import asyncio

    settings = settings_of(database, config)
    password = _password(from_stdin=password_stdin)
    try:
        with _passwords_refused():
            user_id = asyncio.run(_open_account(wiring(settings), email, password))
    except EmailInvalid:
        raise AddressRefused(f"{email!r} is not an e-mail address") from None
    except EmailTaken:
        raise AddressRefused(f"there is an account for {email} already") from None
    if as_json:
        print_record({"user_id": user_id, "email": email})
    else:
        click.echo(f"{user_id} can sign in as {email}")


@user.command("list")
@part_options
@json_option
@database_options
def list_users(
    *,
    limit: int,
    everything: bool,
    after: str | None,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """List the users, newest first, with their e-mail addresses or their ids at the host application.

    Times are UTC.
    """
    part = Part(after, None if everything else limit)

    async def work(container: "Container") -> None:
        found = _users(container, part)
        await print_list(found, as_json=as_json, columns=_COLUMNS, nothing="There are no users.")

    on_ledger(database, config, work)


@user.command()
@click.argument("user")
@json_option
@database_options
def disable(user: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Refuse every sign-in, browser session and token of a user from the next request on.

    Running servers need no restart. When the user is enabled, the sessions and grants that have not expired
    are valid again. `grant revoke --user` ends grants for good.
    """
    on_ledger(database, config, _change(user, lambda it: it.use_cases().disable_user, as_json=as_json))


@user.command()
@click.argument("user")
@json_option
@database_options
def enable(user: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Accept a disabled user again, with the browser sessions and grants that have not expired."""
    on_ledger(database, config, _change(user, lambda it: it.use_cases().enable_user, as_json=as_json))


@user.command("erase-password")
@click.argument("user")
@json_option
@database_options
def erase_password(user: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Erase a user's password, and end every browser session. For a password that others may know.

    Grants stay valid: `grant revoke --user` ends them. `user set-password` sets a new password.
    """
    on_ledger(database, config, _change(user, lambda it: it.use_cases().erase_password, as_json=as_json))


@user.command("set-password")
@click.argument("user")
@_password_stdin
@json_option
@database_options
def set_password(
    user: str, *, password_stdin: bool, as_json: bool, database: str | None, config: Path | None
) -> None:
    """Set a user's password, and end every browser session. The command asks for it, and never shows it."""
    password = _password(from_stdin=password_stdin)

    def use_case(container: "Container") -> UseCase:
        return lambda user_id, caller: container.use_cases().set_password(user_id, password, caller)

    with _passwords_refused():
        on_ledger(database, config, _change(user, use_case, as_json=as_json))


def _change(
    name: str, use_case: Callable[["Container"], UseCase], *, as_json: bool
) -> Callable[["Container"], Awaitable[None]]:
    async def work(container: "Container") -> None:
        before = await found_user(container, name)
        await use_case(container)(before.user_id, this_command())
        await _print_status(container, before.user_id, as_json=as_json)

    return work


async def _print_status(container: "Container", user_id: str, *, as_json: bool) -> None:
    known_as = await UserNames(container).of(user_id)
    record = user_record(await found_user(container, user_id), known_as)
    if as_json:
        print_record(record)
        return
    who = user_id if known_as.name is None else f"{user_id} ({printable(known_as.name)})"
    click.echo(f"{who} is {record['status']}")


@contextmanager
def _passwords_refused() -> Iterator[None]:
    try:
        yield
    except PasswordTooShort:
        raise PasswordRefused(f"a password needs at least {MIN_PASSWORD} characters") from None
    except PasswordTooLong:
        raise PasswordRefused(f"a password may have {MAX_PASSWORD_BYTES} bytes at most") from None


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask for the password: give --password-stdin.")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


async def _open_account(container: "Container", email: str, password: str) -> str:
    from grantledger.entrypoints.composition import ledger_open

    async with ledger_open(container):
        return await container.use_cases().open_account(email, password, this_command())


async def _users(container: "Container", part: Part) -> AsyncIterator[Record]:
    names = UserNames(container)
    async for user_id, found in items_of(container.ledger().users, part):
        yield user_record(found, await names.of(user_id))


def user_record(user: UserAccount, known_as: KnownAs) -> Record:
    return {
        "user_id": user.user_id,
        "email": known_as.email,
        "host_user_id": known_as.host_user_id,
        "status": "disabled" if user.disabled else "active",
        "opened_at": user.opened_at,
    }
