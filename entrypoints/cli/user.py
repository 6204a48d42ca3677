"""`grantledger user`."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
    PasswordIsAddress,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)
from grantledger.domain.person_name import MAX_NAME, NameInvalid
from grantledger.domain.user_account import UserAccount
from grantledger.entrypoints.cli.failures import AddressRefused, NameRefused, PasswordRefused
from grantledger.entrypoints.cli.ledger_access import (
    KnownAs,
    UserNames,
    database_options,
    found_user,
    json_option,
    on_ledger,
    operator_options,
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

_keep_apps = click.option(
    "--keep-apps", is_flag=True, help="Leave the user's apps connected, with their grants and consents."
)


@click.group()
def user() -> None:
    """Add, list, disable and enable users, and change their names and passwords.

    USER is an id, an e-mail address, or the id of the user at the host application.
    """


@user.command()
@click.argument("email")
@click.option("--name", default="", help="The user's name, which apps get with the scope profile.")
@_password_stdin
@json_option
@operator_options
def add(
    email: str,
    *,
    name: str,
    password_stdin: bool,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Open an account for EMAIL. The command asks for the password and never shows it."""
    import asyncio

    settings = settings_of(database, config)
    password = _password(from_stdin=password_stdin)
    try:
        with _passwords_refused(), _names_refused():
            user_id = asyncio.run(_open_account(wiring(settings), email, password, name))
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
@operator_options
def disable(user: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Refuse every sign-in, browser session and token of a user from the next request on.

    Running servers need no restart. When the user is enabled, the sessions and grants that have not expired
    are valid again. `grant revoke --user` ends grants for good.
    """
    on_ledger(database, config, _change(user, lambda it: it.use_cases().disable_user, as_json=as_json))


@user.command()
@click.argument("user")
@json_option
@operator_options
def enable(user: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Accept a disabled user again, with the browser sessions and grants that have not expired."""
    on_ledger(database, config, _change(user, lambda it: it.use_cases().enable_user, as_json=as_json))


@user.command("erase-password")
@click.argument("user")
@_keep_apps
@json_option
@operator_options
def erase_password(
    user: str, *, keep_apps: bool, as_json: bool, database: str | None, config: Path | None
) -> None:
    """Erase a user's password, as when another person may know it.

    Every browser session ends, and every app is disconnected: its grants are revoked. `user set-password`
    sets another password.
    """

    def use_case(container: "Container") -> UseCase:
        return partial(container.use_cases().erase_password, keep_apps=keep_apps)

    on_ledger(database, config, _change(user, use_case, as_json=as_json))


@user.command("set-password")
@click.argument("user")
@_password_stdin
@_keep_apps
@json_option
@operator_options
def set_password(
    user: str,
    *,
    password_stdin: bool,
    keep_apps: bool,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Give a user another password. The command asks for it and never shows it.

    Every browser session ends, and every app is disconnected: its grants are revoked. So if another person
    signed up for the account, that person loses all access to it.
    """
    password = _password(from_stdin=password_stdin)

    def use_case(container: "Container") -> UseCase:
        set_password = container.use_cases().set_password
        return lambda user_id, caller: set_password(user_id, password, caller, keep_apps=keep_apps)

    with _passwords_refused():
        on_ledger(database, config, _change(user, use_case, as_json=as_json))


@user.command("set-name")
@click.argument("user")
@click.argument("name")
@json_option
@operator_options
def set_name(user: str, name: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Give a user another NAME, which apps get with the scope profile; "" erases it.

    Apps that asked before keep the name that they got.
    """

    def use_case(container: "Container") -> UseCase:
        set_name = container.use_cases().set_name
        return lambda user_id, caller: set_name(user_id, name, caller)

    with _names_refused():
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
    known = known_as.account_name
    who = user_id if known is None else f"{user_id} ({printable(known)})"
    click.echo(f"{who} is {record['status']}")


@contextmanager
def _names_refused() -> Iterator[None]:
    try:
        yield
    except NameInvalid:
        raise NameRefused(f"a name has {MAX_NAME} characters at most, and no control characters") from None


@contextmanager
def _passwords_refused() -> Iterator[None]:
    try:
        yield
    except PasswordTooShort:
        raise PasswordRefused(f"a password needs at least {MIN_PASSWORD} characters") from None
    except PasswordTooLong:
        raise PasswordRefused(f"a password may have {MAX_PASSWORD_BYTES} bytes at most") from None
    except PasswordTooCommon:
        raise PasswordRefused("too many people use this password, or one that is almost the same") from None
    except PasswordIsAddress:
        raise PasswordRefused("a password must not be the user's e-mail address") from None


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask for the password: give --password-stdin.")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


async def _open_account(container: "Container", email: str, password: str, name: str) -> str:
    from grantledger.entrypoints.composition import ledger_open

    async with ledger_open(container):
        return await container.use_cases().open_account(email, password, this_command(), name=name)


async def _users(container: "Container", part: Part) -> AsyncIterator[Record]:
    names = UserNames(container)
    async for user_id, found in items_of(container.ledger().users, part):
        yield user_record(found, await names.of(user_id))


def user_record(user: UserAccount, known_as: KnownAs) -> Record:
    return {
        "user_id": user.user_id,
        "email": known_as.email,
        "host_user_id": known_as.host_user_id,
        "name": known_as.name,
        "status": "disabled" if user.disabled else "active",
        "opened_at": user.opened_at,
    }
