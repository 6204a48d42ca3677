"""One server for all tests that leave no mark on each other; a person of its own for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from support.oauth import Person
from support.server import Server, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
async def person(server: Server) -> AsyncIterator[Person]:
    someone = Person.at(server.origin)
    yield someone
    await someone.http.aclose()
