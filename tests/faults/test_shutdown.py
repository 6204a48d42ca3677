"""SIGTERM under load: whoever is being served is answered, and whatever was answered stays true."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from msgspec import Struct

from adapters.ledger.storage import writers_held_up
from grantledger.adapters.ledger.database import Database
from support.figures import tell
from support.mortal import Mortal
from support.oauth import Person, error_of
from support.volley import Shot, held, refreshing, volley
from support.witness import Witness, contradictions, signed_in, visitor

WORKERS = 12


@pytest.fixture
async def mortal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mortal]:
    mortal = Mortal(tmp_path_factory.mktemp("shutdown"))
    await mortal.open_account()
    mortal.start()
    try:
        yield mortal
    finally:
        mortal.stop()


async def served_until_told_to_stop(person: Person, mortal: Mortal, witness: Witness) -> list[Any]:
    """Keep the server busy, send SIGTERM at some moment, and return how each worker ended."""
    async with person.http:
        for_ever = asyncio.Event()
        busy = [asyncio.create_task(witness.keep_busy(person, for_ever)) for _ in range(WORKERS)]
        await asyncio.sleep(witness.random.uniform(0.5, 1))
        mortal.tell(signal.SIGTERM)
        return await asyncio.gather(*busy, return_exceptions=True)


class Terms(Struct):
    """How a busy server ended, time and again, and what was found when it ran once more."""

    exit_codes: list[int]
    answered: list[int]
    wrong_answers: list[str]
    untruths: list[str]
    contradictions: list[str]
    log: str


@pytest.fixture(
    scope="module",
    params=[pytest.param(2, id="short"), pytest.param(40, id="long", marks=pytest.mark.long)],
)
async def terms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Terms:
    mortal = Mortal(tmp_path_factory.mktemp("terms"), refresh_reuse_window="300")
    await mortal.open_account()
    witness = Witness(random.randrange(1_000_000))
    exit_codes, answered, ended = [], [], []
    try:
        mortal.start()
        cookies = await signed_in(mortal.origin)
        for _ in range(request.param):
            before = witness.answered
            ended += await served_until_told_to_stop(visitor(mortal.origin, cookies), mortal, witness)
            exit_codes.append(await asyncio.to_thread(mortal.end))
            answered.append(witness.answered - before)
            mortal.start()
        person = visitor(mortal.origin, cookies)
        async with person.http:
            untruths = await witness.untruths(person)
        if request.param >= 40:
            tell(
                request.config,
                f"{request.param} times SIGTERM under load: {witness.answered} requests were answered, "
                f"{witness.unanswered} not, {witness.unheard} found nobody to ask, "
                f"{len(untruths)} answers were untrue afterwards",
            )
        wrong = [repr(error) for error in ended if error is not None]
        return Terms(exit_codes, answered, wrong, untruths, contradictions(mortal.database), mortal.log)
    finally:
        mortal.stop()


LONG = pytest.mark.timeout(900)
"""The fixture takes its time, which counts for the first test that asks for it."""


@LONG
async def test_a_busy_server_that_is_told_to_stop_ends(terms: Terms) -> None:
    assert set(terms.exit_codes) <= {0, -signal.SIGTERM}


@LONG
async def test_a_server_ends_when_it_has_answered_and_not_when_its_patience_does(terms: Terms) -> None:
    assert "timeout graceful shutdown exceeded" not in terms.log


@LONG
async def test_until_its_end_a_server_answers_nobody_wrongly(terms: Terms) -> None:
    assert all(terms.answered), terms.answered
    assert terms.wrong_answers == []


@LONG
async def test_after_its_end_every_answer_that_was_given_is_still_true(terms: Terms) -> None:
    assert terms.untruths == []


@LONG
async def test_after_its_end_the_read_model_equals_the_replay(terms: Terms) -> None:
    assert terms.contradictions == []


async def test_whatever_a_server_records_until_its_end_it_also_answers(mortal: Mortal) -> None:
    answered = 0
    person = Person.at(mortal.origin)

    async def register_for_ever() -> None:
        nonlocal answered
        with suppress(httpx.TransportError):
            while True:
                await person.register()
                answered += 1

    async with person.http:
        busy = [asyncio.create_task(register_for_ever()) for _ in range(WORKERS)]
        await asyncio.sleep(1)
        mortal.tell(signal.SIGTERM)
        await asyncio.gather(*busy)
    await asyncio.to_thread(mortal.end)
    assert answered
    assert mortal.server.events("client.registered.v1") == answered


async def test_appends_that_wait_when_a_server_is_told_to_stop_are_written_and_answered(
    mortal: Mortal,
) -> None:
    person = Person.at(mortal.origin)
    async with person.http:
        client = (await person.register())["client_id"]
        tokens = [await person.tokens(client) for _ in range(10)]
    shots = [Shot(mortal.origin, "/token", refreshing(client, one["refresh_token"])) for one in tokens]
    with writers_held_up(Database(mortal.database)):
        waiting = asyncio.create_task(volley(shots))
        await asyncio.sleep(0.5)
        mortal.tell(signal.SIGTERM)
        await asyncio.sleep(0.5)
    assert [answer.status_code for answer in await waiting] == [200] * 10


@pytest.mark.long
async def test_a_writer_that_is_held_up_for_ever_holds_up_no_request_and_no_end(mortal: Mortal) -> None:
    person = Person.at(mortal.origin)
    async with person.http:
        client = (await person.register())["client_id"]
        token = (await person.tokens(client))["refresh_token"]
    shots = [Shot(mortal.origin, "/token", refreshing(client, token))] * 10
    with writers_held_up(Database(mortal.database)):
        waiting = asyncio.create_task(volley(shots))
        await asyncio.sleep(2)
        mortal.tell(signal.SIGTERM)
        answers = await waiting
        assert await asyncio.to_thread(mortal.end) in (0, -signal.SIGTERM)
    assert {error_of(answer) for answer in answers} == {(503, "temporarily_unavailable")}


@pytest.mark.long
async def test_a_client_that_never_finishes_its_request_does_not_hold_up_the_end(mortal: Mortal) -> None:
    request = await held(Shot(mortal.origin, "/token", refreshing("glc_somebody", "glrt_something")))
    mortal.tell(signal.SIGTERM)
    assert await asyncio.to_thread(mortal.end) in (0, -signal.SIGTERM)
    request.hang_up()
