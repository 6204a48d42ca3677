"""Empty ledgers on SQLite and PostgreSQL, one after the other, for tests that need very many of them."""

import hashlib
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import Vault
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from support import postgres
from support.stores import Ledger
from support.witness import contradictions

TIMEOUT = 120
"""Seconds until an append is answered with `Unavailable`: so many that a slow machine fails no test."""

_SECRETS = MasterSecrets([bytes(range(32))])


Storages = Callable[[Callable[[], int]], AbstractAsyncContextManager[EventLedger]]
"""Opens an empty ledger whose rows end by this clock, in seconds. At the end its rows must equal a replay."""


class SqliteFiles:
    """Opens a copy of a migrated file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._template = directory / "template.sqlite3"
        self._names = (directory / f"ledger-{number}" for number in itertools.count())
        database = SqliteDatabase(self._template)
        migrations.migrate(database)
        database.engine.dispose()

    @asynccontextmanager
    async def __call__(self, now: Callable[[], int]) -> AsyncIterator[EventLedger]:
        directory = next(self._names)
        directory.mkdir()
        path = directory / "ledger.sqlite3"
        shutil.copy(self._template, path)
        async with _opened(SqliteDatabase(path), path, now) as ledger:
            yield ledger
        shutil.rmtree(directory)


@asynccontextmanager
async def postgres_ledgers(now: Callable[[], int]) -> AsyncIterator[EventLedger]:
    with postgres.a_database() as url:
        async with _opened(PostgresDatabase(url), url, now) as ledger:
            yield ledger


@asynccontextmanager
async def _opened(database: Database, where: Ledger, now: Callable[[], int]) -> AsyncIterator[EventLedger]:
    ledger = EventLedger(
        database,
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
    found = contradictions(where, now=now())
    assert not found, "; ".join(found)


def _digest(address: str) -> bytes:
    return hashlib.sha256(address.encode()).digest()[:8]
