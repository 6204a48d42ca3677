"""Promise 2: refreshing is idempotent within the window, whichever servers the attempts reach at once."""

from typing import Any

import httpx
import pytest
from msgspec import Struct

from races.town import Town
from support.volley import refreshing, volley

REFRESHES = 20
TOKENS = ("access_token", "refresh_token")


class Race(Struct, frozen=True):
    """A client whose refresh token was presented twenty times at once."""

    client: str
    answers: list[httpx.Response]

    @property
    def pairs(self) -> set[tuple[Any, ...]]:
        return {tuple(answer.json().get(name) for name in TOKENS) for answer in self.answers}


@pytest.fixture(scope="module")
async def races(town: Town, rounds: int) -> list[Race]:
    run = []
    for _ in range(rounds):
        client = await town.client()
        form = refreshing(client, (await town.ada.tokens(client))["refresh_token"])
        run.append(Race(client, await volley(town.shots(REFRESHES, "/token", form))))
    return run


async def test_twenty_refreshes_are_all_answered(races: list[Race]) -> None:
    statuses = [[answer.status_code for answer in race.answers] for race in races]
    assert statuses == [[200] * REFRESHES] * len(races)


async def test_twenty_refreshes_get_twenty_times_the_same_pair(races: list[Race]) -> None:
    assert [len(race.pairs) for race in races] == [1] * len(races)


async def test_twenty_refreshes_are_one_event(town: Town, races: list[Race]) -> None:
    for race in races:
        assert town.remembered(race.client).count("token_grant.refreshed.v1") == 1


async def test_every_server_takes_the_pair_that_all_got(town: Town, races: list[Race]) -> None:
    for race in races:
        access, refresh = next(iter(race.pairs))
        assert await town.sessions(access) == {200}
        assert await town.refreshes(race.client, refresh) == {200}
