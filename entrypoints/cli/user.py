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
from grantledger.domain.role import RoleUnknown
from grantledger.domain.user_account import TooManyRoles, UserAccount
from grantledger.entrypoints.cli.failures import (
    AddressRefused,
    NameRefused,
    PasswordRefused,
    RoleNotChanged,
)
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
    print_facts,
    print_list,
    print_record,
    printable,
    to_minute,
)

if TYPE_CHECKING:
    from grantledger.application.use_cases import UseCases
    from grantledger.entrypoints.composition import Container

_COLUMNS: Columns = {
    "user": itemgetter("user_id"),
    "e-mail or host's id": lambda user: user["email"] or user["host_user_id"],
    "opened": lambda user: to_minute(user["opened_at"]),
    "status": itemgetter("status"),
    "roles": lambda user: ", ".join(user["roles"]),
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
    """Add, list, show, disable and enable users, and change their names, passwords and roles.

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

    Times are UTC. Roles that the settings do not have any more are listed too.
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
def show(user: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Show a user: e-mail address, status, roles, and what the roles permit under the present settings."""

    async def work(container: "Container") -> None:
        found = await found_user(container, user)
        known_as = await UserNames(container).of(found.user_id)
        roles = container.settings.policy.roles
        held = roles.held(found.roles)
        record = {
            **user_record(found, known_as),
            "permissions": held.permissions,
            "role_scopes": sorted(roles.scopes - held.withheld),
            "unknown_roles": [role for role in found.roles if role not in held.names],
        }
        if as_json:
            print_record(record)
        else:
            print_facts(_facts(record))

    on_ledger(database, config, work)


def _facts(user: Record) -> Iterator[tuple[str, str]]:
    yield "user", user["user_id"]
    for name, key in (("e-mail", "email"), ("host's id", "host_user_id"), ("name", "name")):
        if user[key] is not None:
            yield name, user[key]
    yield "status", user["status"]
    yield "opened", f"{to_minute(user['opened_at'])} UTC"
    yield "roles", ", ".join(user["roles"]) or "none"
    if user["unknown_roles"]:
        yield "not in the settings", ", ".join(user["unknown_roles"])
    yield "permissions", ", ".join(user["permissions"]) or "none"
    if user["role_scopes"]:
        yield "may also grant", " ".join(user["role_scopes"])


@user.command("grant-role")
@click.argument("user")
@click.argument("role")
@json_option
@operator_options
def grant_role(user: str, role: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Give a user a ROLE of the setting `roles`. Running servers need no restart.

    Apps that are connected get the scopes of the role when they ask the user for them.
    """
    with _roles_refused():
        on_ledger(database, config, _role_change(user, role, lambda it: it.grant_role, as_json=as_json))


@user.command("revoke-role")
@click.argument("user")
@click.argument("role")
@json_option
@operator_options
def revoke_role(user: str, role: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Take a ROLE from a user, with its permissions and scopes, from the next request on.

    Running servers need no restart. Only a resource server that verifies JWTs by itself accepts an older
    access token until it expires.
    """
    with _roles_refused():
        on_ledger(database, config, _role_change(user, role, lambda it: it.revoke_role, as_json=as_json))


@user.command()
@click.argument("user")
@json_option
@operator_options
def disable(user: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Refuse every sign-in, browser session and token of a user from the next request on.

    Running servers need no restart. When the user is enabled, the sessions and grants that have not expired
    are valid again. `grant revoke --user` ends grants permanently.
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
    """Erase a user's password, for example because another person may know it.

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

    Apps keep a name that they got before.
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
    click.echo(f"{_who(user_id, known_as)} is {record['status']}")


def _who(user_id: str, known_as: KnownAs) -> str:
    known = known_as.account_name
    return user_id if known is None else f"{user_id} ({printable(known)})"


def _role_change(
    name: str,
    role: str,
    use_case: Callable[["UseCases"], Callable[[str, str, Caller], Awaitable[None]]],
    *,
    as_json: bool,
) -> Callable[["Container"], Awaitable[None]]:
    async def work(container: "Container") -> None:
        user_id = (await found_user(container, name)).user_id
        await use_case(container.use_cases())(user_id, role, this_command())
        known_as = await UserNames(container).of(user_id)
        record = user_record(await found_user(container, user_id), known_as)
        if as_json:
            print_record(record)
            return
        roles = ", ".join(record["roles"]) or "none"
        click.echo(f"roles of {_who(user_id, known_as)}: {roles}")

    return work


@contextmanager
def _roles_refused() -> Iterator[None]:
    try:
        yield
    except (RoleUnknown, TooManyRoles) as refusal:
        raise RoleNotChanged(str(refusal)) from None


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
        "roles": user.roles,
    }
