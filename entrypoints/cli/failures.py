"""Failures that an operator can mend: a sentence on standard error, no traceback, and exit code 1."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click

from grantledger.adapters.ledger.database import CannotOpen
from grantledger.adapters.ledger.mapper import EventUnreadable
from grantledger.adapters.ledger.migrations import SchemaMismatch
from grantledger.adapters.ledger.rebuild import MigratedMeanwhile, RebuildRunning
from grantledger.application.ports import Unavailable
from grantledger.entrypoints.settings import SettingsInvalid


class Failed(Exception):  # noqa: N818 - a sentence for the operator
    """What was asked for cannot be done, and nothing was. Each kind has an entry in docs/errors.toml."""


class ClientNotFound(Failed):
    """No client has that id."""


class GrantNotFound(Failed):
    """No grant has that id."""


class UserNotFound(Failed):
    """No user has that id or e-mail address, and no host application calls a user so."""


class NotThereThen(Failed):
    """The client or grant was not there at that moment."""


class AddressRefused(Failed):
    """No account can have this e-mail address."""


class PasswordRefused(Failed):
    """No account can have this password."""


class RotationTooEarly(Failed):
    """Clients may not know the next signing key yet."""


class SecretRefused(Failed):
    """The master secret cannot be added, taken into use or retired now."""


class SecretsByHand(Failed):
    """The master secrets stand where commands cannot change them."""


class RowsDiffer(Failed):
    """Rows that requests are answered from are not what the log says."""


TOLD: tuple[type[Exception], ...] = (
    Failed,
    SettingsInvalid,
    CannotOpen,
    SchemaMismatch,
    EventUnreadable,
    RebuildRunning,
    MigratedMeanwhile,
    Unavailable,
)
"""What ends a command with its own sentence. Everything else is a fault of the program."""


@contextmanager
def told() -> Iterator[None]:
    try:
        yield
    except TOLD as error:
        click.secho(f"grantledger: {error}", fg="red", err=True)
        sys.exit(1)
