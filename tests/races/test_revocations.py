"""Promise 3: what was revoked is refused on the very next request, by every server."""

import asyncio
import itertools
import random
import time

import httpx2
import pytest
from msgspec import Struct

from races.cluster import Cluster
from support.concurrently import FormRequest, concurrently, refreshing
from support.oauth import Person, error_of
from support.timeouts import until

REFRESHES = 10
POLLING = 0.2
"""Clients poll for at most this many seconds before the revocation, and for half as many after it."""


class Race(Struct, frozen=True):
    """A grant that was refreshed ten times and revoked once at the same moment."""

    client: str
    access_token: str
    refreshed: list[httpx2.Response]
    revoked: httpx2.Response

    @property
    def access_tokens(self) -> set[str]:
        """The first access token, and those that the refreshes returned."""
        good = [answer.json() for answer in self.refreshed if answer.status_code == 200]
        return {self.access_token, *(tokens["access_token"] for tokens in good)}


@pytest.fixture(scope="module")
async def races(cluster: Cluster, rounds: int) -> list[Race]:
    all_of_them = []
    for number in range(rounds):
        client = await cluster.client()
        tokens = await cluster.ada.tokens(client)
        token = tokens["refresh_token"]
        refreshes = cluster.requests(REFRESHES, "/token", refreshing(client, token))
        at = 2 * number % REFRESHES  # another position among the refreshes in each round
        revocation = FormRequest(
            cluster.any_person().origin, "/revoke", {"client_id": client, "token": token}
        )
        answers = await concurrently([*refreshes[:at], revocation, *refreshes[at:]])
        all_of_them.append(
            Race(client, tokens["access_token"], answers[:at] + answers[at + 1 :], answers[at])
        )
    return all_of_them


async def test_a_revocation_among_refreshes_is_answered(races: list[Race]) -> None:
    assert [race.revoked.status_code for race in races] == [200] * len(races)


async def test_a_refresh_parallel_to_a_revocation_succeeds_or_is_refused(races: list[Race]) -> None:
    refused = [answer for race in races for answer in race.refreshed if answer.status_code != 200]
    assert {error_of(answer) for answer in refused} <= {(400, "invalid_grant")}


async def test_no_token_issued_during_a_revocation_outlives_it(cluster: Cluster, races: list[Race]) -> None:
    for race in races:
        for token in race.access_tokens:
            assert await cluster.sessions(token) == {401}


async def test_a_grant_is_revoked_once_and_never_refreshed_afterwards(
    cluster: Cluster, races: list[Race]
) -> None:
    for race in races:
        tags = cluster.recorded(race.client)
        assert tags.count("token_grant.revoked.v1") == 1
        assert tags[-1] == "token_grant.revoked.v1"


class Asked(Struct, frozen=True):
    """One of many requests with one token: when it was sent and answered, and whether it was refused."""

    sent: float
    answered: float
    refused: bool


class Polling(Struct, frozen=True):
    """Parallel requests with one token, and when its revocation was answered."""

    asked: list[Asked]
    revoked: float


@pytest.fixture(scope="module")
async def pollings(cluster: Cluster, rounds: int) -> list[Polling]:
    return [await polling(cluster) for _ in range(rounds)]


async def polling(cluster: Cluster) -> Polling:
    client = await cluster.client()
    tokens = await cluster.ada.tokens(client)
    asked: list[Asked] = []

    over = asyncio.Event()

    async def ask(person: Person, *, refresh: bool) -> None:
        while not over.is_set():
            sent = time.monotonic()
            if refresh:
                answer = await person.refresh(client, tokens["refresh_token"])
            else:
                answer = await person.session(tokens["access_token"])
            assert answer.status_code in (200, 400 if refresh else 401), answer.text
            asked.append(Asked(sent, time.monotonic(), answer.status_code != 200))

    asking = [
        asyncio.create_task(ask(person, refresh=refresh))
        for person, refresh in itertools.product(cluster.people, (True, False))
    ]
    await asyncio.sleep(random.uniform(0, POLLING))
    answer = await cluster.any_person().revoke(client, tokens["refresh_token"])
    revoked = time.monotonic()
    assert answer.status_code == 200
    await asyncio.sleep(POLLING / 2)
    await until(lambda: any(one.sent > revoked for one in asked) or all(task.done() for task in asking))
    over.set()
    await asyncio.gather(*asking)
    return Polling(asked, revoked)


async def test_every_request_after_the_answer_to_a_revocation_is_refused(pollings: list[Polling]) -> None:
    for polling in pollings:
        later = [one.refused for one in polling.asked if one.sent > polling.revoked]
        assert later
        assert all(later)


async def test_once_one_server_has_refused_a_token_all_do(pollings: list[Polling]) -> None:
    for polling in pollings:
        first_refusal = min(one.answered for one in polling.asked if one.refused)
        assert all(one.refused for one in polling.asked if one.sent > first_refusal)
