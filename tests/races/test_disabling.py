"""Promise 3: no token issued during the disabling of a client or a user is good afterwards."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from msgspec import Struct

from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container
from races.cluster import Cluster
from support.concurrently import hold_back, refreshing
from support.oauth import Person, error_of, redemption
from support.server import PASSWORD

CALLER = Caller(correlation_id="operator")
REFRESHES = 10
MOMENT = 0.01
"""The disabling follows the requests within these seconds. Most requests take longer."""
CHANCES = 10
"""Maximum number of further rounds while all requests so far had the same outcome."""


class Race(Struct, frozen=True):
    """Tokens issued before the disabling, and parallel requests for more during it.

    `recorded` are the client's events when all requests were answered.
    """

    client: str
    access_token: str
    refresh_token: str
    answers: list[httpx2.Response]
    recorded: list[str]

    @property
    def handed_out(self) -> set[tuple[str, str]]:
        good = [answer.json() for answer in self.answers if answer.status_code == 200]
        return {(tokens["access_token"], tokens["refresh_token"]) for tokens in good}

    @property
    def access_tokens(self) -> set[str]:
        return {self.access_token, *(access for access, _ in self.handed_out)}

    @property
    def refresh_tokens(self) -> set[str]:
        return {self.refresh_token, *(refresh for _, refresh in self.handed_out)}


@pytest.fixture(scope="module", params=["client", "user"])
async def races(
    request: pytest.FixtureRequest, cluster: Cluster, operator: Container, rounds: int
) -> list[Race]:
    """Run the race until some requests came before the disabling and others after it.

    If no round happened to do so, two more are arranged so that they do.
    """
    race = [await disabled_meanwhile(cluster, operator, request.param) for _ in range(rounds)]
    while len(outcomes(race)) < 2 and len(race) < rounds + CHANCES:
        race.append(await disabled_meanwhile(cluster, operator, request.param))
    if len(outcomes(race)) < 2:
        race.append(await disabled_meanwhile(cluster, operator, request.param, first=False))
        race.append(await disabled_meanwhile(cluster, operator, request.param, first=True))
    return race


def outcomes(race: list[Race]) -> set[int]:
    return {answer.status_code for volley in race for answer in volley.answers}


async def disabled_meanwhile(
    cluster: Cluster, operator: Container, what: str, *, first: bool | None = None
) -> Race:
    """Disable a client or user while its requests run, or just before them, or after the first answer."""
    person = Person.at(cluster.ada.origin)
    async with person.http:
        email = f"{secrets.token_hex(8)}@example.com"
        user = await operator.use_cases().open_account(email, PASSWORD, CALLER)
        client = (await person.register())["client_id"]
        await person.sign_in(await person.asked(client), email=email)
        tokens = await person.tokens(client)
        code = await person.code(client)
    disable: dict[str, Callable[[], Awaitable[None]]] = {
        "client": lambda: operator.use_cases().disable_client(client, CALLER),
        "user": lambda: operator.use_cases().disable_user(user, CALLER),
    }
    requests = [
        *cluster.requests(1, "/token", redemption(client, code)),
        *cluster.requests(REFRESHES, "/token", refreshing(client, tokens["refresh_token"])),
    ]
    ready = await asyncio.gather(*(hold_back(request) for request in requests))
    if first:
        await disable[what]()
    for one in ready:
        one.release()
    answering = [asyncio.create_task(one.answer()) for one in ready]
    if not first:
        if first is None:
            await asyncio.sleep(random.uniform(0, MOMENT))
        else:
            await asyncio.wait(answering, return_when=asyncio.FIRST_COMPLETED)
        await disable[what]()
    answers = await asyncio.gather(*answering)
    return Race(client, tokens["access_token"], tokens["refresh_token"], answers, cluster.recorded(client))


async def test_a_request_parallel_to_the_disabling_succeeds_or_is_refused(races: list[Race]) -> None:
    refused = [answer for race in races for answer in race.answers if answer.status_code != 200]
    assert {error_of(answer) for answer in refused} == {(400, "invalid_grant")}
    assert any(race.handed_out for race in races)


async def test_no_access_token_issued_during_the_disabling_outlives_it(
    cluster: Cluster, races: list[Race]
) -> None:
    for race in races:
        for token in race.access_tokens:
            assert await cluster.sessions(token) == {401}


async def test_no_refresh_token_issued_during_the_disabling_outlives_it(
    cluster: Cluster, races: list[Race]
) -> None:
    for race in races:
        for token in race.refresh_tokens:
            assert await cluster.refreshes(race.client, token) == {400}


async def test_a_refresh_after_the_disabling_changes_nothing(cluster: Cluster, races: list[Race]) -> None:
    for race in races:
        for token in race.refresh_tokens:
            await cluster.refreshes(race.client, token)
        assert cluster.recorded(race.client) == race.recorded
