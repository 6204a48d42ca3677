"""Failures that an operator can fix: one sentence on standard error, no traceback, and exit code 1."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click


class CommandFailed(Exception):  # noqa: N818 - a sentence for the operator
    """The command could not do its work. Each subclass has an entry in docs/errors.toml."""


class ClientNotFound(CommandFailed):
    """No client has that id."""


class GrantNotFound(CommandFailed):
    """No grant has that id."""


class UserNotFound(CommandFailed):
    """No user has that id, e-mail address or id at the host application."""


class RoleNotChanged(CommandFailed):
    """The role cannot be granted or revoked."""


class RegistrationTokenNotChanged(CommandFailed):
    """The registration token cannot be added or revoked."""


class ClientNotChanged(CommandFailed):
    """The client cannot be added or changed."""


class ResourceNotChanged(CommandFailed):
    """The resource cannot be added, changed or removed."""


class NotThereThen(CommandFailed):
    """The client, user or grant did not exist at that time."""


class AddressRefused(CommandFailed):
    """No account can have this e-mail address."""


class NameRefused(CommandFailed):
    """No account can have this name."""


class PasswordRefused(CommandFailed):
    """No account can have this password."""


class RotationTooEarly(CommandFailed):
    """The next signing key was published less than an hour ago."""


class SecretRefused(CommandFailed):
    """The master secret cannot be added, activated or retired now."""


class SecretsByHand(CommandFailed):
    """The master secrets are kept where commands cannot change them."""


class RowsDiffer(CommandFailed):
    """The read model differs from the log."""


def reported_failures() -> tuple[type[Exception], ...]:
    """Return the exceptions whose message a command prints. Every other exception is a bug."""
    # These are imported only after a failure, because some of the modules import SQLAlchemy.
    from grantledger.adapters.ledger.copying import CopyDiffers, LedgerInUse, TargetNotEmpty
    from grantledger.adapters.ledger.database import CannotOpen
    from grantledger.adapters.ledger.events import EventUnreadable
    from grantledger.adapters.ledger.migrations import SchemaMismatch
    from grantledger.adapters.ledger.rebuild import MigratedMeanwhile, RebuildRunning, TablesInUse
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
        TablesInUse,
        LedgerInUse,
        TargetNotEmpty,
        CopyDiffers,
        Unavailable,
    )


@contextmanager
def report_failures() -> Iterator[None]:
    """Print the message of a failure in `reported_failures` and exit with 1. Others are not caught."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, reported_failures()):
            raise
        click.secho(f"grantledger: {error}", fg="red", err=True)
        sys.exit(1)
