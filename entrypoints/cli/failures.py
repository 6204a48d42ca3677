"""Failures that an operator can mend: a sentence instead of a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click

from grantledger.adapters.crypto.master_secret import MasterSecretInvalid
from grantledger.adapters.ledger.database import CannotOpen
from grantledger.adapters.ledger.mapper import EventUnreadable
from grantledger.adapters.ledger.migrations import SchemaMismatch
from grantledger.adapters.ledger.rebuild import MigratedMeanwhile, RebuildRunning
from grantledger.application.ports import Unavailable
from grantledger.entrypoints.settings import SettingsInvalid


class Failed(Exception):  # noqa: N818 - a sentence for the operator
    """What was asked for cannot be done, and nothing was."""


_MENDABLE = (
    Failed,
    SettingsInvalid,
    MasterSecretInvalid,
    CannotOpen,
    SchemaMismatch,
    EventUnreadable,
    RebuildRunning,
    MigratedMeanwhile,
    Unavailable,
)


@contextmanager
def told() -> Iterator[None]:
    try:
        yield
    except _MENDABLE as error:
        click.secho(f"grantledger: {error}", fg="red", err=True)
        sys.exit(1)
