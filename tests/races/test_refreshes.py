"""Promise 2: refreshing is idempotent within the window, whichever servers the attempts reach at once."""

from typing import Any

import httpx2
import pytest
from msgspec import Struct

from races.cluster import Cluster
from support.concurrently import concurrently, refreshing

REFRESHES = 20
TOKENS = ("access_token", "refresh_token")


class Race(Struct, frozen=True):
    """A client whose refresh token was presented twenty times at once."""

    client: str
    answers: list[httpx2.Response]

    @property
    def pairs(self) -> set[tuple[Any, ...]]:
        return {tuple(answer.json().get(name) for name in TOKENS) for answer in self.answers}


@pytest.fixture(scope="module")
async def races(cluster: Cluster, rounds: int) -> list[Race]:
    run = []
    for _ in range(rounds):
        client = await cluster.client()
        form = refreshing(client, (await cluster.ada.tokens(client))["refresh_token"])
        run.append(Race(client, await concurrently(cluster.requests(REFRESHES, "/token", form))))
    return run


async def test_twenty_refreshes_are_all_answered(races: list[Race]) -> None:
    statuses = [[answer.status_code for answer in race.answers] for race in races]
    assert statuses == [[200] * REFRESHES] * len(races)


async def test_twenty_refreshes_get_the_same_tokens(races: list[Race]) -> None:
    assert [len(race.pairs) for race in races] == [1] * len(races)


async def test_twenty_refreshes_are_one_event(cluster: Cluster, races: list[Race]) -> None:
    for race in races:
        assert cluster.recorded(race.client).count("token_grant.refreshed.v1") == 1


async def test_every_server_accepts_the_tokens_of_twenty_refreshes(
    cluster: Cluster, races: list[Race]
) -> None:
    for race in races:
        access, refresh = next(iter(race.pairs))
        assert await cluster.sessions(access) == {200}
        assert await cluster.refreshes(race.client, refresh) == {200}
