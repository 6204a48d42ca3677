"""While the disk fails, requests that write are 503; nothing is lost, and then they succeed again."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from faults.disk import Disk
from support.oauth import Person, error_of
from support.restartable_server import RestartableServer
from support.stores import once
from support.witness import contradictions

pytestmark = once("is about the disk under the SQLite file")

NEEDS_WRITING = ["register", "redeem", "refresh", "revoke", "revoke an access token"]


class Host(Struct, frozen=True):
    """A server, its disk, and a signed-in user."""

    server: RestartableServer
    disk: Disk
    ada: Person


@contextmanager
def limited(host: Host) -> Iterator[None]:
    """Limit the file size so that the next write to the write-ahead log fails in the middle of a page."""
    end = Path(f"{host.server.database}-wal").stat().st_size + 1_000
    before = resource.prlimit(host.server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(host.server.pid, resource.RLIMIT_FSIZE, (end, before[1]))
    try:
        yield
    finally:
        resource.prlimit(host.server.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(host: Host) -> Iterator[None]:
    """Lock the file, without queueing with the writers."""
    with closing(sqlite3.connect(host.server.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


CAUSES: dict[str, Callable[[Host], AbstractContextManager[None]]] = {
    "the disk is full": lambda host: host.disk.failing("write ENOSPC"),
    "a file may not grow": limited,
    "the file system is read-only": lambda host: host.disk.failing("write EROFS"),
    "the file is locked": locked,
    "the disk cannot sync": lambda host: host.disk.failing("sync EIO"),
}


class Outage(Struct, frozen=True):
    """The answers during an outage and after it, and what the ledger recorded."""

    during: dict[str, httpx2.Response]
    reading: httpx2.Response
    refusing: httpx2.Response
    recorded: int
    recorded_in_the_end: int
    after: dict[str, httpx2.Response]
    contradictions: list[str]


@pytest.fixture(scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory, shim: Path) -> AsyncIterator[Host]:
    directory = tmp_path_factory.mktemp("outage")
    server = RestartableServer(directory / "server")
    server.database.parent.mkdir()
    disk = Disk(shim, server.database, directory)
    del disk.environment[
        "DISK_JOURNAL"
    ]  # the journal could not grow either when the kernel limits file sizes
    server.environment = disk.environment
    await server.open_account()
    server.start()
    try:
        ada = Person.at(server.origin)
        async with ada.http:
            yield Host(server, disk, ada)
    finally:
        server.stop()


@pytest.fixture(scope="module", params=CAUSES)
async def outage(request: pytest.FixtureRequest, host: Host) -> Outage:
    ada = host.ada
    client = (await ada.register())["client_id"]
    code, refreshed, revoked, cut = await ada.code(client), *[await ada.tokens(client) for _ in range(3)]
    name = f"Registered when {request.node.name}"

    async def written() -> dict[str, httpx2.Response]:
        answers = await asyncio.gather(
            ada.http.post(
                "/register", json={"client_name": name, "redirect_uris": ["https://client.example/"]}
            ),
            ada.redeem(client, code),
            ada.refresh(client, refreshed["refresh_token"]),
            ada.revoke(client, revoked["refresh_token"]),
            ada.revoke(client, cut["access_token"]),
        )
        return dict(zip(NEEDS_WRITING, answers, strict=True))

    before = host.server.events()
    with CAUSES[request.param](host):
        during = await written()
        reading = await ada.session(revoked["access_token"])
        refusing = await ada.refresh(client, "glrt_unknown")
    recorded = host.server.events() - before
    after = await written()
    in_the_end = host.server.events() - before
    return Outage(
        during, reading, refusing, recorded, in_the_end, after, contradictions(host.server.database)
    )


@pytest.mark.parametrize("what", NEEDS_WRITING)
async def test_requests_that_write_are_503_with_retry_after(outage: Outage, what: str) -> None:
    assert error_of(outage.during[what]) == (503, "temporarily_unavailable")
    assert int(outage.during[what].headers["retry-after"]) > 0


async def test_requests_that_only_read_are_answered(outage: Outage) -> None:
    assert outage.reading.status_code == 200


async def test_a_refusal_needs_no_disk(outage: Outage) -> None:
    assert error_of(outage.refusing) == (400, "invalid_grant")


async def test_nothing_of_a_refused_request_is_recorded(outage: Outage) -> None:
    once = len(NEEDS_WRITING) + 1  # a redemption is two events
    assert (outage.recorded, outage.recorded_in_the_end) == (0, once)


async def test_the_same_requests_succeed_when_the_cause_is_gone(outage: Outage) -> None:
    statuses: dict[str, Any] = {what: answer.status_code for what, answer in outage.after.items()}
    assert statuses == dict.fromkeys(NEEDS_WRITING, 200) | {"register": 201}


async def test_the_read_model_equals_the_replay_afterwards(outage: Outage) -> None:
    assert outage.contradictions == []
