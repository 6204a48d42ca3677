from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.ledger.storage import STORES, WatchedDatabase, a_database, a_ledger
from fakes.memory_ledger import MemoryLedger
from grantledger.adapters.ledger import postgresql, writer
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.application.use_cases import Storage
from support.timeouts import TIMEOUT


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on every store, unless it or its module names the stores."""
    marks = metafunc.definition.iter_markers("parametrize")
    if "database" in metafunc.fixturenames and not any(mark.args[0] == "database" for mark in marks):
        metafunc.parametrize("database", getattr(metafunc.module, "STORES", STORES), indirect=True)


@pytest.fixture(autouse=True)
def sweep_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    """No writer sweeps by itself, however long a test takes. Tests of the sweep set shorter times."""
    monkeypatch.setattr(writer, "SWEEP_EVERY", 3_600.0)
    monkeypatch.setattr(writer, "SWEEP_IDLE", 3_600.0)


@pytest.fixture(autouse=True)
def patient_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no read time out on a busy machine. Tests about these limits set shorter times."""
    for limit in ("READ_TIMEOUT", "POOL_TIMEOUT", "_COMMAND_TIMEOUT", "_LOOK_UP"):
        monkeypatch.setattr(postgresql, limit, TIMEOUT)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[WatchedDatabase]:
    with a_database(request.param) as database:
        yield database


@pytest.fixture
async def ledger(database: WatchedDatabase) -> AsyncIterator[EventLedger]:
    ledger = a_ledger(database)
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture(params=["memory", *STORES])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Every adapter of the storage ports, empty."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    with a_database(request.param) as database:
        ledger = a_ledger(database)
        await ledger.open()
        yield ledger
        await ledger.close()
