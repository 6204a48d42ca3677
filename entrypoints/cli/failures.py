"""Failures that an operator can fix: one sentence on standard error, no traceback, and exit code 1."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click


class CommandFailed(Exception):  # noqa: N818 - a sentence for the operator
    """The command did nothing, because it could not. Each kind has an entry in docs/errors.toml."""


class ClientNotFound(CommandFailed):
    """No client has that id."""


class GrantNotFound(CommandFailed):
    """No grant has that id."""


class UserNotFound(CommandFailed):
    """No user has that id or e-mail address, and no host application calls a user so."""


class NotThereThen(CommandFailed):
    """The client or grant was not there at that moment."""


class AddressRefused(CommandFailed):
    """No account can have this e-mail address."""


class PasswordRefused(CommandFailed):
    """No account can have this password."""


class RotationTooEarly(CommandFailed):
    """Clients may not know the next signing key yet."""


class SecretRefused(CommandFailed):
    """The master secret cannot be added, taken into use or retired now."""


class SecretsByHand(CommandFailed):
    """The master secrets are kept where commands cannot change them."""


class RowsDiffer(CommandFailed):
    """Rows that requests are answered from are not what the log says."""


def reported_failures() -> tuple[type[Exception], ...]:
    """Return what ends a command with its own sentence. Every other exception is a fault of the program."""
    # Imported after a failure only: some of these modules import SQLAlchemy.
    from grantledger.adapters.ledger.database import CannotOpen
    from grantledger.adapters.ledger.events import EventUnreadable
    from grantledger.adapters.ledger.migrations import SchemaMismatch
    from grantledger.adapters.ledger.rebuild import MigratedMeanwhile, RebuildRunning
    from grantledger.application.ports import Unavailable
    from grantledger.entrypoints.settings import SettingsInvalid

    return (
        CommandFailed,
        SettingsInvalid,
        CannotOpen,
        SchemaMismatch,
        EventUnreadable,
        RebuildRunning,
        MigratedMeanwhile,
        Unavailable,
    )


@contextmanager
def report_failures() -> Iterator[None]:
    """Print a failure of `reported_failures` as one sentence and exit with 1; others pass."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, reported_failures()):
            raise
        click.secho(f"grantledger: {error}", fg="red", err=True)
        sys.exit(1)
