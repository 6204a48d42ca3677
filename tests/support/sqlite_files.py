"""Empty ledgers on SQLite, each in a file of its own, for tests that need very many of them."""

import hashlib
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import Vault
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from support.witness import contradictions

TIMEOUT = 120
"""Seconds until an append is answered with `Unavailable`: that a machine stood still is no finding."""

_SECRETS = MasterSecrets([bytes(range(32))])


class SqliteFiles:
    """Opens a copy of a migrated file, and asserts at the end that it does not contradict itself."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._template = directory / "template.sqlite3"
        self._names = (directory / f"ledger-{number}" for number in itertools.count())
        database = SqliteDatabase(self._template)
        migrations.migrate(database)
        database.engine.dispose()

    @asynccontextmanager
    async def __call__(self, now: Callable[[], int]) -> AsyncIterator[EventLedger]:
        """Open a ledger whose rows end by the clock `now`, in seconds."""
        directory = next(self._names)
        directory.mkdir()
        path = directory / "ledger.sqlite3"
        shutil.copy(self._template, path)
        ledger = EventLedger(
            SqliteDatabase(path),
            sealer=Vault(_SECRETS, "main"),
            address_digest=_digest,
            timeout=TIMEOUT,
            now=lambda: now() * 1_000_000,
        )
        await ledger.open()
        try:
            yield ledger
        finally:
            await ledger.close()
        found = contradictions(path, now=now())
        assert not found, "; ".join(found)
        shutil.rmtree(directory)


def _digest(address: str) -> bytes:
    return hashlib.sha256(address.encode()).digest()[:8]
