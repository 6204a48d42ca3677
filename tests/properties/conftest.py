"""What all state machines run against, and for how long."""

from collections.abc import Callable, Iterator

import pytest

from properties.profiles import CI, LONG, Figures, Profile
from support.figures import tell
from support.sqlite_files import SqliteFiles
from support.timed_server import TimedServers


@pytest.fixture(
    params=[
        pytest.param(CI, id="CI", marks=pytest.mark.timeout(300)),
        pytest.param(LONG, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(4 * 3_600)]),
    ]
)
def profile(request: pytest.FixtureRequest) -> Profile:
    """How many examples a machine runs."""
    assert isinstance(request.param, Profile)
    return request.param


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    """Ledgers on SQLite; each is checked against its replay when it is closed."""
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def running_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimedServers]:
    servers = TimedServers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.close()


@pytest.fixture
def servers(running_servers: TimedServers) -> Iterator[TimedServers]:
    """Running servers by their settings; their ledgers are checked against a replay in the end."""
    yield running_servers
    assert running_servers.contradictions() == []


@pytest.fixture
def report(request: pytest.FixtureRequest, profile: Profile) -> Callable[[Figures], None]:
    """Tell what a long run came to."""

    def told(figures: Figures) -> None:
        if profile is LONG:
            tell(request.config, f"{request.node.name}: {figures}")

    return told
