"""SIGTERM under load: requests in flight are answered, and every answer stays true."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from support.concurrently import FormRequest, concurrently, hold_back, refreshing
from support.figures import tell
from support.oauth import Person, error_of
from support.outages import within_patience, writers_held_up
from support.restartable_server import RestartableServer
from support.timeouts import until
from support.witness import Witness, contradictions, signed_in, visitor

WORKERS = 6
"""All in one browser, which keeps at most eight pending requests."""


@pytest.fixture
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RestartableServer]:
    server = RestartableServer(tmp_path_factory.mktemp("shutdown"))
    await server.open_account()
    server.start()
    try:
        yield server
    finally:
        server.stop()


LISTENS, ESTABLISHED = "0A", "01"


def sockets(port: int) -> list[tuple[str, int]]:
    """Return the state of each socket at this port of the server, and how much of it is unread.

    For the one that listens, that is how many connections are not accepted.
    """
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if local.endswith(f":{port:04X}") and state in (LISTENS, ESTABLISHED):
            found.append((state, int(queues.partition(":")[2], 16)))
    return sorted(found, reverse=True)


async def served_until_sigterm(person: Person, server: RestartableServer, witness: Witness) -> list[Any]:
    """Keep the server busy, send SIGTERM at a random time, and return the error of each client or None."""
    async with person.http:
        for_ever, before = asyncio.Event(), witness.answered
        busy = [asyncio.create_task(witness.keep_busy(person, for_ever)) for _ in range(WORKERS)]
        await asyncio.sleep(witness.random.uniform(0.5, 1))
        await until(lambda: witness.answered > before or all(task.done() for task in busy))
        server.send_signal(signal.SIGTERM)
        return await asyncio.gather(*busy, return_exceptions=True)


class Terms(Struct):
    """How a busy server stopped, several times, and what was found after it was started again."""

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
    server = RestartableServer(tmp_path_factory.mktemp("terms"), refresh_reuse_window="300")
    await server.open_account()
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown when a test fails
    witness = Witness(seed)
    exit_codes, answered, ended = [], [], []
    try:
        server.start()
        cookies = await signed_in(server.origin)
        for _ in range(request.param):
            before = witness.answered
            ended += await served_until_sigterm(visitor(server.origin, cookies), server, witness)
            exit_codes.append(await asyncio.to_thread(server.wait))
            answered.append(witness.answered - before)
            server.start()
        person = visitor(server.origin, cookies)
        async with person.http:
            untruths = await witness.untruths(person)
        if request.param >= 40:
            tell(
                request.config,
                f"{request.param} times SIGTERM under load: {witness.answered} requests were answered, "
                f"{witness.unanswered} not, {witness.unheard} found no server, "
                f"{len(untruths)} answers were untrue afterwards",
            )
        wrong = [repr(error) for error in ended if error is not None]
        return Terms(exit_codes, answered, wrong, untruths, contradictions(server.ledger), server.log)
    finally:
        server.stop()


LONG = pytest.mark.timeout(900)
"""The time of the fixture counts for the first test that uses it."""


@LONG
async def test_a_busy_server_ends_on_sigterm(terms: Terms) -> None:
    assert set(terms.exit_codes) <= {0, -signal.SIGTERM}


@LONG
async def test_a_server_ends_before_its_shutdown_timeout(terms: Terms) -> None:
    assert "timeout graceful shutdown exceeded" not in terms.log


@LONG
async def test_a_server_gives_no_wrong_answer_before_its_end(terms: Terms) -> None:
    assert all(terms.answered), terms.answered
    assert terms.wrong_answers == []


@LONG
async def test_after_its_end_every_earlier_answer_is_still_true(terms: Terms) -> None:
    assert terms.untruths == []


@LONG
async def test_after_its_end_the_read_model_equals_the_replay(terms: Terms) -> None:
    assert terms.contradictions == []


async def test_everything_recorded_before_the_end_is_answered(server: RestartableServer) -> None:
    answered = 0
    person = Person.at(server.origin)

    async def register_for_ever() -> None:
        nonlocal answered
        with suppress(httpx2.TransportError):
            while True:
                await person.register()
                answered += 1

    async with person.http:
        busy = [asyncio.create_task(register_for_ever()) for _ in range(WORKERS)]
        await asyncio.sleep(1)
        await until(lambda: answered > 0)
        server.send_signal(signal.SIGTERM)
        await asyncio.gather(*busy)
    await asyncio.to_thread(server.wait)
    assert answered
    assert server.events("client.registered.v1") == answered


async def test_appends_queued_at_sigterm_are_written_and_answered(
    server: RestartableServer,
) -> None:
    requests: list[FormRequest] = []

    async def prepare() -> None:
        person = Person.at(server.origin)
        async with person.http:
            client = (await person.register())["client_id"]
            tokens = [await person.tokens(client) for _ in range(10)]
        forms = [refreshing(client, one["refresh_token"]) for one in tokens]
        requests[:] = [FormRequest(server.origin, "/token", form) for form in forms]

    async def attempt() -> list[httpx2.Response]:
        with writers_held_up(server.ledger):
            ready = await asyncio.gather(*(hold_back(request) for request in requests))
            for one in ready:
                one.release()
            await until(lambda: sockets(server.port) == [(LISTENS, 0), *[(ESTABLISHED, 0)] * len(ready)])
            server.send_signal(signal.SIGTERM)
            await until(lambda: all(state != LISTENS for state, _ in sockets(server.port)))
        return await asyncio.gather(*(one.answer() for one in ready))

    async def restart() -> None:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await prepare()

    await prepare()
    answers = await within_patience(attempt, restart)
    assert [answer.status_code for answer in answers] == [200] * 10


@pytest.mark.long
async def test_a_blocked_writer_delays_neither_requests_nor_the_end(server: RestartableServer) -> None:
    person = Person.at(server.origin)
    async with person.http:
        client = (await person.register())["client_id"]
        token = (await person.tokens(client))["refresh_token"]
    requests = [FormRequest(server.origin, "/token", refreshing(client, token))] * 10
    with writers_held_up(server.ledger):
        waiting = asyncio.create_task(concurrently(requests))
        await asyncio.sleep(2)
        server.send_signal(signal.SIGTERM)
        answers = await waiting
        assert await asyncio.to_thread(server.wait) in (0, -signal.SIGTERM)
    assert {error_of(answer) for answer in answers} == {(503, "temporarily_unavailable")}


@pytest.mark.long
async def test_an_unfinished_request_does_not_delay_the_end(server: RestartableServer) -> None:
    request = await hold_back(
        FormRequest(server.origin, "/token", refreshing("glc_somebody", "glrt_something"))
    )
    server.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.wait) in (0, -signal.SIGTERM)
    request.hang_up()
