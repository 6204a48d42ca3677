"""Promise 1: a code opens at most one grant, whichever servers its redemptions reach at once."""

import httpx2
import pytest
from msgspec import Struct

from races.cluster import Cluster
from support.concurrently import concurrently
from support.oauth import error_of, redemption

REDEMPTIONS = 50


class Race(Struct, frozen=True):
    """A client whose one code was presented fifty times at once."""

    client: str
    answers: list[httpx2.Response]

    @property
    def good(self) -> list[httpx2.Response]:
        return [answer for answer in self.answers if answer.status_code == 200]


@pytest.fixture(scope="module")
async def races(cluster: Cluster, rounds: int) -> list[Race]:
    run = []
    for _ in range(rounds):
        client = await cluster.client()
        form = redemption(client, await cluster.ada.code(client))
        run.append(Race(client, await concurrently(cluster.requests(REDEMPTIONS, "/token", form))))
    return run


async def test_of_fifty_redemptions_one_is_answered_with_tokens(races: list[Race]) -> None:
    assert [len(race.good) for race in races] == [1] * len(races)


async def test_of_fifty_redemptions_forty_nine_are_invalid_grant(races: list[Race]) -> None:
    for race in races:
        refused = [error_of(answer) for answer in race.answers if answer not in race.good]
        assert refused == [(400, "invalid_grant")] * (REDEMPTIONS - 1)


async def test_fifty_redemptions_open_one_grant_and_it_ends_revoked(
    cluster: Cluster, races: list[Race]
) -> None:
    for race in races:
        grant = [tag for tag in cluster.recorded(race.client) if tag.startswith("token_grant.")]
        assert grant == ["token_grant.opened.v1", "token_grant.revoked.v1"]


async def test_fifty_redemptions_are_one_redemption_and_one_replay(
    cluster: Cluster, races: list[Race]
) -> None:
    for race in races:
        code = [tag for tag in cluster.recorded(race.client) if tag.startswith("authorization_code.")]
        assert code == ["authorization_code.redeemed.v1", "authorization_code.replayed.v1"]


async def test_every_server_refuses_the_tokens_of_a_replayed_code(
    cluster: Cluster, races: list[Race]
) -> None:
    for race in races:
        tokens = race.good[0].json()
        assert await cluster.sessions(tokens["access_token"]) == {401}
