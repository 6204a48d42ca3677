"""Promise 3: what was revoked is refused on the very next request, by every server."""

import asyncio
import itertools
import random
import time

import httpx
import pytest
from msgspec import Struct

from races.town import Town
from support.oauth import Person, error_of
from support.volley import Shot, refreshing, volley

REFRESHES = 10
PERSISTENCE = 0.2
"""At most so many seconds every server is asked again and again before the revocation, and half after it."""


class Volley(Struct, frozen=True):
    """A grant that was refreshed ten times and revoked once at the same moment."""

    client: str
    access_token: str
    refreshed: list[httpx.Response]
    revoked: httpx.Response

    @property
    def access_tokens(self) -> set[str]:
        """The first one, and those that came of the refreshes."""
        good = [answer.json() for answer in self.refreshed if answer.status_code == 200]
        return {self.access_token, *(tokens["access_token"] for tokens in good)}


@pytest.fixture(scope="module")
async def volleys(town: Town, rounds: int) -> list[Volley]:
    all_of_them = []
    for number in range(rounds):
        client = await town.client()
        tokens = await town.ada.tokens(client)
        token = tokens["refresh_token"]
        refreshes = town.shots(REFRESHES, "/token", refreshing(client, token))
        at = 2 * number % REFRESHES  # now the first of them all, now one in the middle
        revocation = Shot(town.anybody().origin, "/revoke", {"client_id": client, "token": token})
        answers = await volley([*refreshes[:at], revocation, *refreshes[at:]])
        all_of_them.append(
            Volley(client, tokens["access_token"], answers[:at] + answers[at + 1 :], answers[at])
        )
    return all_of_them


async def test_a_revocation_among_refreshes_is_answered(volleys: list[Volley]) -> None:
    assert [fired.revoked.status_code for fired in volleys] == [200] * len(volleys)


async def test_a_refresh_beside_a_revocation_is_good_or_refused(volleys: list[Volley]) -> None:
    refused = [answer for fired in volleys for answer in fired.refreshed if answer.status_code != 200]
    assert {error_of(answer) for answer in refused} <= {(400, "invalid_grant")}


async def test_no_token_outlives_the_revocation_beside_which_it_was_given(
    town: Town, volleys: list[Volley]
) -> None:
    for fired in volleys:
        for token in fired.access_tokens:
            assert await town.sessions(token) == {401}


async def test_a_grant_is_revoked_once_and_never_refreshed_afterwards(
    town: Town, volleys: list[Volley]
) -> None:
    for fired in volleys:
        tags = town.remembered(fired.client)
        assert tags.count("token_grant.revoked.v1") == 1
        assert tags[-1] == "token_grant.revoked.v1"


class Asked(Struct, frozen=True):
    """One of many requests with one token: when it was sent, when answered, and whether it was refused."""

    sent: float
    answered: float
    refused: bool


class Siege(Struct, frozen=True):
    """All that was asked about a grant, and when its revocation was answered."""

    asked: list[Asked]
    revoked: float


@pytest.fixture(scope="module")
async def sieges(town: Town, rounds: int) -> list[Siege]:
    return [await siege(town) for _ in range(rounds)]


async def siege(town: Town) -> Siege:
    client = await town.client()
    tokens = await town.ada.tokens(client)
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
        for person, refresh in itertools.product(town.people, (True, False))
    ]
    await asyncio.sleep(random.uniform(0, PERSISTENCE))
    answer = await town.anybody().revoke(client, tokens["refresh_token"])
    revoked = time.monotonic()
    assert answer.status_code == 200
    await asyncio.sleep(PERSISTENCE / 2)
    over.set()
    await asyncio.gather(*asking)
    return Siege(asked, revoked)


async def test_whatever_is_sent_after_the_answer_to_a_revocation_is_refused(sieges: list[Siege]) -> None:
    for siege in sieges:
        later = [one.refused for one in siege.asked if one.sent > siege.revoked]
        assert later
        assert all(later)


async def test_once_a_server_has_refused_no_other_answers_any_more(sieges: list[Siege]) -> None:
    for siege in sieges:
        first_refusal = min(one.answered for one in siege.asked if one.refused)
        assert all(one.refused for one in siege.asked if one.sent > first_refusal)
