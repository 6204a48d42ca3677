"""While the database file is missing: 503, never an answer from the deleted file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.oauth import Person, error_of
from support.server import Server, serving
from support.stores import once

pytestmark = once("is about the SQLite file")

OUTAGE = (503, "temporarily_unavailable")


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("moved")) as running:
        yield running


@contextmanager
def moved_away(server: Server) -> Iterator[None]:
    files = [Path(f"{server.database}{part}") for part in ("", "-wal", "-shm")]
    for file in files:
        file.rename(f"{file}.away")
    yield
    for file in files:
        Path(f"{file}.away").rename(file)


async def test_a_database_that_was_moved_away_is_an_outage_until_it_is_back(fragile: Server):
    person = Person.at(fragile.origin)
    async with person.http:
        client = (await person.register())["client_id"]
        tokens = await person.tokens(client)
        with moved_away(fragile):
            refreshed = await person.refresh(client, tokens["refresh_token"])
            session = await person.session(tokens["access_token"])
        assert error_of(refreshed) == OUTAGE
        assert error_of(session) == OUTAGE
        assert (await person.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_no_write_to_a_removed_database_is_acknowledged(fragile: Server):
    person = Person.at(fragile.origin)
    async with person.http:
        await person.register()
        fragile.database.unlink()
        answer = await person.http.post("/register", json={"redirect_uris": ["https://client.example/"]})
        assert error_of(answer) == OUTAGE
