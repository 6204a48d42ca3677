"""The `eventsourcing` library and a running server on one ledger: each reads what the other writes."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eventsourcing.persistence import EventStore, IntegrityError
from sqlalchemy import Connection

from grantledger.adapters.ledger.recorder import Entry, Recorder, TagMapper
from grantledger.adapters.ledger.replay import Replay
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from grantledger.domain.kinds import tag_of
from grantledger.domain.token_grant import GrantRevoked
from support.oauth import Person, error_of
from support.projection_runner import watching
from support.server import Server, serving
from support.stores import asked, once, opened
from support.timeouts import TIMEOUT

LOCKS = Path("/proc/locks")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for this file only: its tests write into the ledger without the server."""
    with serving(tmp_path_factory.mktemp("library")) as running:
        yield running


@pytest.fixture
async def person(server: Server):
    someone = Person.at(server.origin)
    async with someone.http:
        yield someone


@pytest.fixture
def store(server: Server) -> Iterator[EventStore[str]]:
    with opened(server.ledger) as database:
        yield EventStore(TagMapper(), Recorder(database))


def logged(server: Server) -> list[tuple[int, str]]:
    return asked(server.ledger, "SELECT position, tag FROM events ORDER BY position")


def newest_grant(server: Server) -> str:
    ((stream_id,),) = asked(
        server.ledger,
        "SELECT stream_id FROM events WHERE tag = 'token_grant.opened.v1' ORDER BY position DESC LIMIT 1",
    )
    return str(stream_id)


def revoke(store: EventStore[str], stream: str, *, version: int) -> None:
    """Append a revocation after the version that was read."""
    revoked = GrantRevoked(reason="by a tool", revoked_at=int(time.time()))
    store.put([Entry(stream, version + 1, revoked)])


async def test_a_projection_runner_follows_what_the_server_writes(server: Server, person: Person):
    with watching(server.ledger) as runner:
        client = (await person.register())["client_id"]
        tokens = await person.tokens(client)
        for _ in range(5):
            tokens = (await person.refresh(client, tokens["refresh_token"])).json()
        await person.revoke(client, tokens["refresh_token"])
        head = logged(server)[-1][0]
        await asyncio.to_thread(runner.wait, head, 30.0)
        seen = [(position, tag_of(entry.event)) for position, entry in runner.view.entries]
    assert seen == logged(server)
    assert seen[-1][1] == "token_grant.revoked.v1"


async def test_a_runner_that_was_stopped_continues_where_it_ended(server: Server, person: Person):
    with watching(server.ledger) as runner:
        await asyncio.to_thread(runner.wait, logged(server)[-1][0], 30.0)
    before = logged(server)[-1][0]
    await person.register()
    with watching(server.ledger) as runner:
        await asyncio.to_thread(runner.wait, before + 1, 30.0)
        assert [position for position, _ in runner.view.entries] == [before + 1]


async def test_what_the_library_appends_decides_the_servers_next_answer(
    server: Server, person: Person, store: EventStore[str]
):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    assert (await person.session(tokens["access_token"])).status_code == 200
    revoke(store, newest_grant(server), version=1)
    assert (await person.session(tokens["access_token"])).status_code == 401
    assert error_of(await person.refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")


async def test_a_stale_append_of_the_library_is_refused(
    server: Server, person: Person, store: EventStore[str]
):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    stream = newest_grant(server)
    read = len(list(store.get(stream)))
    assert (await person.refresh(client, tokens["refresh_token"])).status_code == 200
    with pytest.raises(IntegrityError):
        revoke(store, stream, version=read)
    revoke(store, stream, version=read + 1)


class Held(SqliteDatabase):
    """A database whose write transaction is open already."""

    def __init__(self, path: Path, connection: Connection) -> None:
        super().__init__(path)
        self._connection = connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        yield self._connection


@once("only a lock on a file says who waits for it")
@pytest.mark.skipif(not LOCKS.exists(), reason="only Linux says who waits for a lock")
async def test_after_an_append_of_the_library_the_server_decides_again(server: Server, person: Person):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    stream = newest_grant(server)
    recorder = Recorder(SqliteDatabase(server.database))
    with SqliteDatabase(server.database).writing() as connection:
        answering = asyncio.create_task(person.refresh(client, tokens["refresh_token"]))
        await queued(server)  # the server has decided, on data that is about to change
        entry = Entry(stream, 2, GrantRevoked(reason="by a tool", revoked_at=int(time.time())))
        Recorder(Held(server.database, connection)).insert_events([TagMapper().to_stored_event(entry)])
    assert error_of(await answering) == (400, "invalid_grant")
    tags = [stored.topic for stored in recorder.select_events(stream)]
    assert tags == ["token_grant.opened.v1", "token_grant.revoked.v1"]


async def queued(server: Server) -> None:
    """Return when the server's writer waits for the lock."""
    async with asyncio.timeout(TIMEOUT):
        while not re.search(rf"-> FLOCK .* {server.pid} ", LOCKS.read_text()):  # noqa: ASYNC110 - it polls
            await asyncio.sleep(0.005)


def test_after_these_tests_the_rows_equal_the_replay(server: Server):
    with opened(server.ledger) as database:
        assert list(Replay(database, now=lambda: int(time.time())).differences()) == []
