"""The systems that all state machines run against, and for how long."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before the modules are imported, so that a failed assertion in them shows both sides.
pytest.register_assert_rewrite(
    "properties.consent_memory", "properties.code_lifecycle", "properties.refresh_family"
)
from properties.profiles import LONG, SHORT, Figures, Profile  # noqa: E402
from support.figures import tell  # noqa: E402
from support.many_ledgers import SqliteFiles, Storages, postgres_ledgers  # noqa: E402
from support.stores import once  # noqa: E402
from support.timed_server import TimedServers  # noqa: E402


@pytest.fixture(
    params=[
        pytest.param("SQLite", marks=once("runs on both stores by itself")),
        pytest.param("PostgreSQL", marks=[pytest.mark.full, once("runs on both stores by itself")]),
        pytest.param("HTTP", marks=pytest.mark.full),
    ]
)
def system(request: pytest.FixtureRequest) -> str:
    """The use cases on SQLite or PostgreSQL, or a running server on the store of the run."""
    return str(request.param)


@pytest.fixture(
    params=[
        pytest.param(SHORT, id="short", marks=pytest.mark.timeout(900)),  # shrinking a failure takes 300 s
        pytest.param(LONG, id="long", marks=[pytest.mark.long, pytest.mark.timeout(4 * 3_600)]),
    ]
)
def profile(request: pytest.FixtureRequest, system: str) -> Profile:
    """How many examples a machine runs, and of how many steps."""
    profiles: dict[str, Profile] = request.param
    return profiles[system]


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="grantledger-") as made:
        yield Path(made)


@pytest.fixture(scope="session")
def sqlite_files(directory: Path) -> SqliteFiles:
    """Ledgers on SQLite; each is checked against its replay when it is closed."""
    return SqliteFiles(directory)


@pytest.fixture
def storages(system: str, sqlite_files: SqliteFiles) -> Storages:
    """Ledgers for the use cases."""
    return postgres_ledgers if system == "PostgreSQL" else sqlite_files


@pytest.fixture(scope="session")
def running_servers(directory: Path) -> Iterator[TimedServers]:
    servers = TimedServers(directory)
    yield servers
    servers.close()


@pytest.fixture
def servers(running_servers: TimedServers) -> Iterator[TimedServers]:
    """Running servers by their settings. At the end their ledgers are compared with a replay."""
    yield running_servers
    assert running_servers.contradictions() == []


@pytest.fixture
def report(request: pytest.FixtureRequest, profile: Profile) -> Callable[[Figures], None]:
    """Print the results of a long run."""

    def reported(figures: Figures) -> None:
        if profile in LONG.values():
            tell(request.config, f"{request.node.name}: {figures}")

    return reported
