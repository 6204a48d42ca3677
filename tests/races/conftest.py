"""One, two and four server processes on one ledger; each race is run on all."""

from collections.abc import AsyncIterator, Iterator

import pytest

from grantledger.entrypoints.composition import Container
from races.cluster import Cluster
from support.oauth import Person
from support.replicas import replicas
from support.server import Server
from support.stores import STORE
from support.witness import contradictions


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(
    scope="session",
    params=[1, 2, 4],
    ids=lambda count: f"{count} on {STORE}",
)
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    with replicas(tmp_path_factory.mktemp("races"), request.param) as running:
        yield running
        assert contradictions(running[0].ledger) == []


@pytest.fixture(scope="session")
async def cluster(servers: list[Server]) -> AsyncIterator[Cluster]:
    people = [Person.at(server.origin) for server in servers]
    ada = people[0]
    await ada.sign_in(await ada.asked((await ada.register())["client_id"]))
    yield Cluster(servers, people)
    for person in people:
        await person.http.aclose()


@pytest.fixture(scope="session")
async def operator(servers: list[Server]) -> AsyncIterator[Container]:
    """Another process on the same ledger."""
    async with servers[0].use_cases() as container:
        yield container


@pytest.fixture(
    scope="session",
    params=[pytest.param(3, id="short"), pytest.param(60, id="long", marks=pytest.mark.long)],
)
def rounds(request: pytest.FixtureRequest) -> int:
    """How often each race is run."""
    return int(request.param)
