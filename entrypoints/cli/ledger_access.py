"""How a command opens a ledger: shared options, the wiring, and how clients, grants and users are found.

The wiring is imported by the functions that use it, because `--help` and completion do not need it.
"""

import os
import pwd
import re
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click
from msgspec import Struct

from grantledger.application.accounts.admit_host_user import HOST_USER
from grantledger.application.accounts.open_account import EMAIL_KEY
from grantledger.application.provenance import Caller
from grantledger.domain.client_registration import CLIENT, ClientRegistration
from grantledger.domain.email_address import EmailInvalid, normalized
from grantledger.domain.token_grant import GRANT, TokenGrant
from grantledger.domain.user_account import USER, UserAccount
from grantledger.entrypoints.cli.failures import ClientNotFound, GrantNotFound, UserNotFound

if TYPE_CHECKING:
    from grantledger.entrypoints.composition import Container
    from grantledger.entrypoints.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


# Options


def database_options(command: F) -> F:
    """Add `--database` and `--config`."""
    database = click.option(
        "--database", metavar="FILE", help="The SQLite file or PostgreSQL URL of the ledger."
    )
    config = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The settings file. [default: ./grantledger.toml]",
    )
    return database(config(command))


def operator_options(command: F) -> F:
    """Add `database_options` and `--as`, for a command that records something."""
    operator = click.option(
        "--as",
        metavar="NAME",
        expose_value=False,
        callback=_remember_operator,
        help="The name of the operator, which the ledger records. [default: the login name]",
    )
    return database_options(operator(command))


_OPERATOR = "grantledger.operator"
_OPERATOR_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OTHER_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]")


def _remember_operator(context: click.Context, _: click.Parameter, name: str | None) -> None:
    # The log keeps the name forever, so only a short id is allowed, and no e-mail address.
    if name is not None and not _OPERATOR_ID.fullmatch(name):
        raise click.BadParameter("a name has 1 to 64 letters, digits, dots, dashes or underscores")
    context.meta[_OPERATOR] = name or _system_user()


def _system_user() -> str:
    """Return the name of the process's user, or its number if the system has no name for it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid-{os.getuid()}"
    return _OTHER_CHARACTERS.sub("_", name)[:64]


access_token_option = click.option(
    "--access-token-expires-in",
    type=click.IntRange(min=0),
    metavar="SECONDS",
    help="Shorten the lifetime of its access tokens. 0: the lifetime that the server sets.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")


def settings_of(database: str | None, config: Path | None) -> "Settings":
    """Return the settings; the two options override them. Raises `SettingsInvalid`."""
    from grantledger.entrypoints.settings_sources import load_settings

    return load_settings(config, os.environ, given(database=database))


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given, because only these override settings."""
    return {name: value for name, value in options.items() if value is not None}


# The wiring


def on_ledger(database: str | None, config: Path | None, work: Callable[["Container"], Awaitable[T]]) -> T:
    """Open an existing ledger, do the work, and close it. Creates neither a ledger nor a master secret.

    Raises the failures of `reported_failures`.
    """
    import asyncio

    async def run() -> T:
        container = existing(database, config)
        async with _open(container):
            return await work(container)

    return asyncio.run(run())


def existing(database: str | None, config: Path | None) -> "Container":
    """Return the wiring for an existing database with this release's schema, without opening the ledger.

    Raises the failures of `reported_failures`.
    """
    from grantledger.adapters.ledger import migrations

    container = wiring(settings_of(database, config))
    migrations.check(container.database())
    return container


def wiring(settings: "Settings") -> "Container":
    """Return the wiring with these settings. The wiring also works for the ledger of an embedded server."""
    with _unused_imports_left_out():
        from grantledger.entrypoints.composition import Container

    return Container(settings)


@contextmanager
def _unused_imports_left_out() -> Iterator[None]:
    """Let dependency_injector import empty modules instead of pydantic-settings and PyYAML, if installed.

    These imports take a fifth of the time of a short command, for features that it does not use. Only
    the process of a command may do this: an application that embeds the server may use these features.
    """
    empty = {"pydantic_settings": "BaseSettings", "yaml": "SafeLoader"}
    left_out = [name for name in empty if name not in sys.modules]
    for name in left_out:
        sys.modules[name] = module = ModuleType(name)
        vars(module)[empty[name]] = type(empty[name], (), {})
    try:
        yield
    finally:
        for name in left_out:
            del sys.modules[name]


@asynccontextmanager
async def _open(container: "Container") -> AsyncIterator[None]:
    await container.ledger().open()
    try:
        yield
    finally:
        await container.ledger().close()


def this_command() -> Caller:
    """Return the caller for one run of a command. Its events share operator and correlation id."""
    context = click.get_current_context()
    assert context is not None
    operator = context.meta.get(_OPERATOR) or _system_user()
    return Caller(correlation_id=f"cli-{secrets.token_hex(8)}", operator=operator)


# Clients, grants and users as operators name them


async def found_client(container: "Container", client_id: str) -> ClientRegistration:
    """Return the client, even if it is disabled or deleted. Raises `ClientNotFound`."""
    found = (await container.ledger().load(CLIENT, client_id)).state
    if found is None:
        raise ClientNotFound(f"there is no client {client_id!r}")
    return found


async def found_grant(container: "Container", grant_id: str) -> TokenGrant:
    """Return the grant, even if it is revoked. Raises `GrantNotFound`."""
    found = (await container.ledger().load(GRANT, grant_id)).state
    if found is None:
        raise GrantNotFound(f"there is no grant {grant_id!r}")
    return found


async def found_user(container: "Container", name: str) -> UserAccount:
    """Return the user with that id, or the user that `named_user` finds. Raises `UserNotFound`."""
    ledger = container.ledger()
    found = (await ledger.load(USER, name)).state
    if found is None:
        found = (await ledger.load(USER, await named_user(container, name))).state
    if found is None:
        raise UserNotFound(f"there is no user {name!r}")
    return found


async def named_user(container: "Container", name: str) -> str:
    """Return the id of the user with that e-mail address or id at the host application.

    Raises `UserNotFound`.
    """
    ledger = container.ledger()
    user_id = None
    with suppress(EmailInvalid):
        user_id = await ledger.find(EMAIL_KEY, normalized(name))
    user_id = user_id or await ledger.find(HOST_USER, name)
    if user_id is None:
        raise UserNotFound(f"there is no user {name!r}")
    return user_id


class KnownAs(Struct, frozen=True):
    """The names by which people know a user. Each may be missing or erased."""

    email: str | None = None
    host_user_id: str | None = None
    name: str | None = None

    @property
    def account_name(self) -> str | None:
        """The name by which people know the user: an e-mail address or the id at the host application."""
        return self.email or self.host_user_id


class UserNames:
    """Looks up the names by which people know users. The names of each user are unsealed only once."""

    def __init__(self, container: "Container") -> None:
        self._ledger = container.ledger()
        self._known: dict[str, KnownAs] = {}

    async def of(self, user_id: str) -> KnownAs:
        if user_id not in self._known:
            found = await self._ledger.values(user_id, ("email", HOST_USER, "name"))
            self._known[user_id] = KnownAs(found.get("email"), found.get(HOST_USER), found.get("name"))
        return self._known[user_id]
