"""Clients that hang up: their request is done once or not at all, and delays no other."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from support.concurrently import FormRequest, HeldRequest, concurrently, hold_back, refreshing
from support.oauth import Person, error_of, redemption
from support.outages import writers_held_up
from support.server import Server, serving
from support.witness import contradictions


class Scene(Struct, frozen=True):
    """A server, and a signed-in user."""

    server: Server
    ada: Person
    client: str

    async def lost_in_the_middle(self, path: str, form: dict[str, str]) -> None:
        """Send a request and hang up while its append waits for its turn."""
        with writers_held_up(self.server.ledger):
            await _left(await hold_back(FormRequest(self.server.origin, path, form)))
            await asyncio.sleep(0.2)  # time to reach the queue for the lock
        # Appends are written in their order: when this one is answered, the lost one is written.
        await self.ada.register()

    def sockets(self) -> int:
        links = (Path(f"/proc/{self.server.pid}/fd") / str(number) for number in range(1_000))
        return len([link for link in links if link.is_symlink() and "socket:" in str(link.readlink())])


async def _left(request: HeldRequest) -> None:
    request.release()
    await request.writer.drain()
    await asyncio.sleep(0.1)
    request.hang_up()


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    with serving(tmp_path_factory.mktemp("hang-ups")) as server:
        ada = Person.at(server.origin)
        async with ada.http:
            yield Scene(server, ada, (await ada.register())["client_id"])


async def test_a_refresh_whose_client_hung_up_is_done(scene: Scene) -> None:
    tokens = await scene.ada.tokens(scene.client)
    before = scene.server.events("token_grant.refreshed.v1")
    await scene.lost_in_the_middle("/token", refreshing(scene.client, tokens["refresh_token"]))
    assert scene.server.events("token_grant.refreshed.v1") == before + 1


async def test_a_retry_after_a_hang_up_gets_the_tokens_of_the_lost_refresh(scene: Scene) -> None:
    tokens = await scene.ada.tokens(scene.client)
    await scene.lost_in_the_middle("/token", refreshing(scene.client, tokens["refresh_token"]))
    before = scene.server.events()
    answer = await scene.ada.refresh(scene.client, tokens["refresh_token"])
    assert answer.status_code == 200
    assert scene.server.events() == before


async def test_a_revocation_whose_client_hung_up_holds(scene: Scene) -> None:
    tokens = await scene.ada.tokens(scene.client)
    form = {"client_id": scene.client, "token": tokens["refresh_token"]}
    await scene.lost_in_the_middle("/revoke", form)
    assert (await scene.ada.session(tokens["access_token"])).status_code == 401


async def test_a_code_whose_client_hung_up_opens_no_second_grant(scene: Scene) -> None:
    code = await scene.ada.code(scene.client)
    before = scene.server.events("token_grant.opened.v1")
    await scene.lost_in_the_middle("/token", redemption(scene.client, code))
    assert error_of(await scene.ada.redeem(scene.client, code)) == (400, "invalid_grant")
    assert scene.server.events("token_grant.opened.v1") == before + 1


async def test_other_requests_are_answered_while_clients_hang_up(scene: Scene) -> None:
    tokens = [await scene.ada.tokens(scene.client) for _ in range(8)]
    requests = [
        FormRequest(scene.server.origin, "/token", refreshing(scene.client, one["refresh_token"]))
        for one in tokens
    ]
    with writers_held_up(scene.server.ledger):
        leaving = [asyncio.create_task(_left(await hold_back(request))) for request in requests[::2]]
        staying = asyncio.create_task(concurrently(requests[1::2]))
        await asyncio.gather(*leaving)
    assert [answer.status_code for answer in await staying] == [200] * 4


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
    sockets = scene.sockets()
    for one in tokens:
        request = FormRequest(scene.server.origin, "/token", refreshing(scene.client, one["refresh_token"]))
        await asyncio.gather(*[habit(await hold_back(request)) for _ in range(3)])
    await asyncio.sleep(0.3)
    assert scene.sockets() <= sockets
    again = await asyncio.gather(*(scene.ada.refresh(scene.client, one["refresh_token"]) for one in tokens))
    assert {answer.status_code for answer in again} == {200}
    assert contradictions(scene.server.ledger) == []
