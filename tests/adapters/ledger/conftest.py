from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.ledger.storage import WatchedDatabase, a_ledger
from fakes.memory_ledger import MemoryLedger
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.application.use_cases import Storage


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(tmp_path: Path) -> WatchedDatabase:
    database = WatchedDatabase(tmp_path / "ledger.db")
    migrations.migrate(database)
    return database


@pytest.fixture
async def ledger(database: WatchedDatabase) -> AsyncIterator[EventLedger]:
    ledger = a_ledger(database)
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture(params=["memory", "sqlite"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Every adapter of the storage ports, empty."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    ledger = a_ledger(request.getfixturevalue("database"))
    await ledger.open()
    yield ledger
    await ledger.close()
