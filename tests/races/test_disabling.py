"""Promise 3: nothing that was given beside the disabling of a client or a user is good afterwards."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable

import httpx
import pytest
from msgspec import Struct

from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container
from races.town import Town
from support.oauth import Person, error_of, redemption
from support.server import PASSWORD
from support.volley import held, refreshing

CALLER = Caller(correlation_id="operator")
REFRESHES = 10
MOMENT = 0.01
"""The disabling comes at most so many seconds after the requests, most of which take longer."""


class Volley(Struct, frozen=True):
    """Tokens that were there, or were asked for with a code and a refresh token, while an operator said no.

    `remembered` is what the client had caused when all was answered.
    """

    client: str
    access_token: str
    refresh_token: str
    answers: list[httpx.Response]
    remembered: list[str]

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
async def volleys(
    request: pytest.FixtureRequest, town: Town, operator: Container, rounds: int
) -> list[Volley]:
    """So many, and more until some of the requests came before the disabling and others after it."""
    fired: list[Volley] = []
    while len(fired) < rounds or (len(outcomes(fired)) < 2 and len(fired) < 20 * rounds):
        fired.append(await disabled_meanwhile(town, operator, request.param))
    return fired


def outcomes(fired: list[Volley]) -> set[int]:
    return {answer.status_code for volley in fired for answer in volley.answers}


async def disabled_meanwhile(town: Town, operator: Container, what: str) -> Volley:
    person = Person.at(town.ada.origin)
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
    shots = [
        *town.shots(1, "/token", redemption(client, code)),
        *town.shots(REFRESHES, "/token", refreshing(client, tokens["refresh_token"])),
    ]
    ready = await asyncio.gather(*(held(shot) for shot in shots))
    for one in ready:
        one.release()
    answering = asyncio.gather(*(one.answer() for one in ready))
    await asyncio.sleep(random.uniform(0, MOMENT))
    await disable[what]()
    answers = await answering
    return Volley(client, tokens["access_token"], tokens["refresh_token"], answers, town.remembered(client))


async def test_a_request_beside_the_disabling_is_good_or_refused(volleys: list[Volley]) -> None:
    refused = [answer for fired in volleys for answer in fired.answers if answer.status_code != 200]
    assert {error_of(answer) for answer in refused} == {(400, "invalid_grant")}
    assert any(fired.handed_out for fired in volleys)


async def test_no_access_token_outlives_the_disabling_beside_which_it_was_given(
    town: Town, volleys: list[Volley]
) -> None:
    for fired in volleys:
        for token in fired.access_tokens:
            assert await town.sessions(token) == {401}


async def test_no_refresh_token_outlives_the_disabling_beside_which_it_was_given(
    town: Town, volleys: list[Volley]
) -> None:
    for fired in volleys:
        for token in fired.refresh_tokens:
            assert await town.refreshes(fired.client, token) == {400}


async def test_a_refresh_after_the_disabling_changes_nothing(town: Town, volleys: list[Volley]) -> None:
    for fired in volleys:
        for token in fired.refresh_tokens:
            await town.refreshes(fired.client, token)
        assert town.remembered(fired.client) == fired.remembered
