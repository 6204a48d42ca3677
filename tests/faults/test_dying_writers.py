"""Two servers on one ledger, one of which hangs or dies in the middle of a commit."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from faults.disk import Disk
from support.oauth import Person, error_of
from support.outages import WAITING, rows_locked, within_patience, writer_queued
from support.restartable_server import RestartableServer, restartable_servers
from support.stores import IN_POSTGRESQL, asked
from support.timeouts import until
from support.witness import contradictions

OUTAGE = (503, "temporarily_unavailable")


class Pair(Struct, frozen=True):
    """Two servers on one ledger, and the disk of the first; `client` is known to both."""

    first: RestartableServer
    second: RestartableServer
    disk: Disk
    ada: Person
    bob: Person
    client: str

    @contextmanager
    def first_hangs(self) -> Iterator[None]:
        """Let the first server hang with every lock held: in its next sync, or before its next `COMMIT`."""
        with rows_locked(self.first.ledger) if IN_POSTGRESQL else self.disk.failing("sync stall"):
            yield

    async def stuck(self, token: str) -> "asyncio.Task[httpx2.Response]":
        """Present the refresh token at the first server, and return when its commit hangs."""
        before = self._commits_begun()
        request = asyncio.create_task(self.ada.refresh(self.client, token))
        await until(lambda: self._commits_begun() > before)
        return request

    def _commits_begun(self) -> int:
        if IN_POSTGRESQL:
            return len(asked(self.first.ledger, WAITING))
        return sum(operation.kind == "b" for operation in self.disk.operations())


@pytest.fixture
async def pair(tmp_path: Path, shim: Path) -> AsyncIterator[Pair]:
    (tmp_path / "server").mkdir()
    with restartable_servers(tmp_path / "server", 2, refresh_reuse_window="300") as (first, second):
        disk = Disk(shim, first.database, tmp_path)
        first.environment = disk.environment
        await first.open_account()
        first.start()
        second.start()
        ada, bob = Person.at(first.origin), Person.at(second.origin)
        async with ada.http, bob.http:
            client = (await ada.register())["client_id"]
            await ada.sign_in(await ada.asked(client))
            yield Pair(first, second, disk, ada, bob, client)


async def test_other_servers_write_on_when_a_writer_dies_in_its_commit(pair: Pair) -> None:
    tokens = [await pair.ada.tokens(pair.client) for _ in range(2)]

    async def repair() -> None:
        await asyncio.to_thread(pair.first.stop)
        await asyncio.to_thread(pair.first.start)
        tokens[:] = [await pair.ada.tokens(pair.client) for _ in range(2)]

    async def attempt() -> httpx2.Response:
        with pair.first_hangs():
            lost = await pair.stuck(tokens[0]["refresh_token"])
            waiting = asyncio.create_task(pair.bob.refresh(pair.client, tokens[1]["refresh_token"]))
            await writer_queued(pair.second.ledger, pair.second.pid, ahead=1)
            assert not waiting.done()
            pair.first.kill()
        with pytest.raises(httpx2.TransportError):
            await lost
        return await waiting

    assert (await within_patience(attempt, repair)).status_code == 200


async def test_a_refresh_whose_writer_died_can_be_retried_at_another_server(pair: Pair) -> None:
    token = (await pair.ada.tokens(pair.client))["refresh_token"]
    with pair.first_hangs():
        lost = await pair.stuck(token)
        pair.first.kill()
    await asyncio.gather(lost, return_exceptions=True)
    answers = [await pair.bob.refresh(pair.client, token) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["refresh_token"] == answers[1].json()["refresh_token"]
    assert contradictions(pair.second.ledger) == []


@pytest.mark.long
async def test_requests_are_503_while_a_writer_hangs_and_succeed_afterwards(
    pair: Pair,
) -> None:
    tokens = [await pair.ada.tokens(pair.client) for _ in range(2)]
    with pair.first_hangs():
        stuck = await pair.stuck(tokens[0]["refresh_token"])
        waiting = await pair.bob.refresh(pair.client, tokens[1]["refresh_token"])
        assert error_of(waiting) == OUTAGE
        assert error_of(await stuck) == OUTAGE
        assert (await pair.bob.session(tokens[0]["access_token"])).status_code == 200
    for person in (pair.ada, pair.bob):
        for one in tokens:
            assert (await person.refresh(pair.client, one["refresh_token"])).status_code == 200


@pytest.mark.long
async def test_a_server_that_was_paused_sees_what_others_recorded(pair: Pair) -> None:
    tokens: dict[str, Any] = await pair.ada.tokens(pair.client)
    pair.first.send_signal(signal.SIGSTOP)
    revoked = await pair.bob.revoke(pair.client, tokens["refresh_token"])
    pair.first.send_signal(signal.SIGCONT)
    assert revoked.status_code == 200
    assert (await pair.ada.session(tokens["access_token"])).status_code == 401
