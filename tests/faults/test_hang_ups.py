"""Clients that hang up: their request is done once or not at all, and delays no other."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from msgspec import Struct

from support.concurrently import FormRequest, HeldRequest, hold_back, refreshing
from support.oauth import Person, error_of, redemption
from support.outages import within_patience, writer_queued, writers_held_up
from support.server import Server, serving
from support.stores import asked
from support.timeouts import until
from support.witness import contradictions


class Lost(Struct, frozen=True):
    """A request whose client hung up: its form, and the tags of the events before it."""

    form: dict[str, str]
    before: Counter[str]


class Scene(Struct, frozen=True):
    """A server, and a signed-in user."""

    server: Server
    ada: Person
    client: str

    async def lost_in_the_middle(self, path: str, form: Callable[[], Awaitable[dict[str, str]]]) -> Lost:
        """Send a request and hang up while its append waits for the lock."""
        lost = await self._about_to_send(form)

        async def attempt() -> None:
            # Sweeps, if one is due: then the writer does not wait for the lock because of the next one.
            await self.ada.register()
            before = self.sockets()
            with writers_held_up(self.server.ledger):
                request = await hold_back(FormRequest(self.server.origin, path, lost.form))
                request.release()
                await writer_queued(self.server.ledger, self.server.pid)
                request.hang_up()
                await until(lambda: self.sockets() <= before)

        async def repair() -> None:
            nonlocal lost
            lost = await self._about_to_send(form)

        await within_patience(attempt, repair)
        # Appends are written in their order: when this one is answered, the lost one is written.
        await self.ada.register()
        return lost

    async def _about_to_send(self, form: Callable[[], Awaitable[dict[str, str]]]) -> Lost:
        return Lost(await form(), self.events())

    def events(self) -> Counter[str]:
        return Counter(tag for (tag,) in asked(self.server.ledger, "SELECT tag FROM events"))

    async def a_refresh(self) -> dict[str, str]:
        return refreshing(self.client, (await self.ada.tokens(self.client))["refresh_token"])

    async def a_redemption(self) -> dict[str, str]:
        return redemption(self.client, await self.ada.code(self.client))

    def sockets(self) -> int:
        """Count the server's sockets, except those to PostgreSQL, of which it may open more."""
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        elsewhere = {row[6] for row in rows}
        for table in ("tcp", "tcp6"):
            rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
            port = f":{urlsplit(self.server.origin).port:04X}"
            elsewhere |= {row[9] for row in rows if not row[1].endswith(port)}
        links = [link.readlink().name for link in Path(f"/proc/{self.server.pid}/fd").iterdir()]
        sockets = [link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:")]
        return len([inode for inode in sockets if inode not in elsewhere])


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    with serving(tmp_path_factory.mktemp("hang-ups"), refresh_reuse_window="300") as server:
        ada = Person.at(server.origin)
        async with ada.http:
            yield Scene(server, ada, (await ada.register())["client_id"])


async def test_a_refresh_whose_client_hung_up_is_done(scene: Scene) -> None:
    lost = await scene.lost_in_the_middle("/token", scene.a_refresh)
    assert (scene.events() - lost.before)["token_grant.refreshed.v1"] == 1


async def test_a_retry_after_a_hang_up_gets_the_tokens_of_the_lost_refresh(scene: Scene) -> None:
    lost = await scene.lost_in_the_middle("/token", scene.a_refresh)
    before = scene.server.events()
    answer = await scene.ada.refresh(scene.client, lost.form["refresh_token"])
    assert answer.status_code == 200
    assert scene.server.events() == before


async def test_a_revocation_whose_client_hung_up_holds(scene: Scene) -> None:
    tokens: dict[str, str] = {}

    async def a_revocation() -> dict[str, str]:
        tokens.update(await scene.ada.tokens(scene.client))
        return {"client_id": scene.client, "token": tokens["refresh_token"]}

    await scene.lost_in_the_middle("/revoke", a_revocation)
    assert (await scene.ada.session(tokens["access_token"])).status_code == 401


async def test_a_code_whose_client_hung_up_opens_no_second_grant(scene: Scene) -> None:
    lost = await scene.lost_in_the_middle("/token", scene.a_redemption)
    assert error_of(await scene.ada.redeem(scene.client, lost.form["code"])) == (400, "invalid_grant")
    assert (scene.events() - lost.before)["token_grant.opened.v1"] == 1


async def test_other_requests_are_answered_while_clients_hang_up(scene: Scene) -> None:
    requests: list[FormRequest] = []

    async def prepare() -> None:
        requests[:] = [FormRequest(scene.server.origin, "/token", await scene.a_refresh()) for _ in range(8)]

    async def attempt() -> list[httpx2.Response]:
        before = scene.sockets()
        with writers_held_up(scene.server.ledger):
            ready = await asyncio.gather(*(hold_back(request) for request in requests))
            for one in ready:
                one.release()
            await writer_queued(scene.server.ledger, scene.server.pid)
            for one in ready[::2]:
                one.hang_up()
            await until(lambda: scene.sockets() <= before + 4)
        return await asyncio.gather(*(one.answer() for one in ready[1::2]))

    await prepare()
    answers = await within_patience(attempt, prepare)
    assert [answer.status_code for answer in answers] == [200] * 4


Habit = Callable[[HeldRequest], Awaitable[Any]]


async def _leave_before_the_last_byte(request: HeldRequest) -> None:
    request.hang_up()


async def _leave_at_any_time(request: HeldRequest) -> None:
    request.release()
    await asyncio.sleep(random.uniform(0, 0.02))
    request.hang_up()


@pytest.mark.parametrize("habit", [_leave_before_the_last_byte, _leave_at_any_time])
async def test_clients_that_hang_up_leave_no_connections_open(scene: Scene, habit: Habit) -> None:
    tokens = [await scene.ada.tokens(scene.client) for _ in range(40)]
    before = scene.sockets()
    for one in tokens:
        request = FormRequest(scene.server.origin, "/token", refreshing(scene.client, one["refresh_token"]))
        await asyncio.gather(*[habit(await hold_back(request)) for _ in range(3)])
    await until(lambda: scene.sockets() <= before)
    again = await asyncio.gather(*(scene.ada.refresh(scene.client, one["refresh_token"]) for one in tokens))
    assert {answer.status_code for answer in again} == {200}
    assert contradictions(scene.server.ledger) == []
