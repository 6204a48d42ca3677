"""PostgreSQL crashes again and again under two busy servers, which recover by themselves."""

import asyncio
import random
import time

import httpx2
import pytest
from msgspec import Struct

from support.postgres import CrashingServer
from support.replicas import replicas
from support.stores import once
from support.timeouts import TIMEOUT
from support.witness import Witness, contradictions, signed_in, visitor

pytestmark = once("has a PostgreSQL of its own in each run")

WORKERS = 6
"""Clients of each server."""


class Run(Struct):
    """What a run found. The lists are empty if the promises hold."""

    witness: Witness
    slow: list[int]
    wrong_answers: list[str]
    untruths: list[str]
    contradictions: list[str]


@pytest.fixture(
    scope="module",
    params=[5, pytest.param(100, marks=pytest.mark.long)],
    ids=lambda count: f"{count} crashes",
)
async def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown when a test fails
    found = Run(Witness(seed), [], [], [], [])
    postgresql = CrashingServer()
    directory = tmp_path_factory.mktemp("servers")
    try:
        with replicas(directory, 2, database=postgresql.database, refresh_reuse_window="300") as servers:
            cookies = await signed_in(servers[0].origin)
            origins = [server.origin for server in servers]
            crash = 0
            while crash < request.param or not (found.witness.refused_for_now or crash >= 20 * request.param):
                await crash_once(postgresql, origins, cookies, found, crash)
                crash += 1
    finally:
        postgresql.end()
    return found


async def crash_once(
    postgresql: CrashingServer, origins: list[str], cookies: httpx2.Cookies, run: Run, crash: int
) -> None:
    witness, over = run.witness, asyncio.Event()
    people = [visitor(origin, cookies) for origin in origins]
    busy = [asyncio.create_task(witness.keep_busy(person, over)) for person in people for _ in range(WORKERS)]
    await answered(witness, witness.random.randint(1, 60))
    await asyncio.to_thread(postgresql.crash)
    await asyncio.sleep(witness.random.uniform(0, 0.5))
    await asyncio.to_thread(postgresql.start)
    if not await answered(witness, 20):
        run.slow.append(crash)
    over.set()
    ended = await asyncio.gather(*busy, return_exceptions=True)
    run.wrong_answers += [repr(error) for error in ended if error is not None]
    run.untruths += await witness.untruths(people[0], at_most=40)
    run.contradictions += contradictions(postgresql.database)
    for person in people:
        await person.http.aclose()


async def answered(witness: Witness, more: int) -> bool:
    """Wait for `more` answered requests, and return whether they came within the timeout."""
    until, give_up = witness.answered + more, time.monotonic() + TIMEOUT
    while witness.answered < until and time.monotonic() < give_up:  # noqa: ASYNC110 - it polls a count
        await asyncio.sleep(0.001)
    return witness.answered >= until


LONG = pytest.mark.timeout(7_200)
"""The time of the fixture counts for the first test that uses it."""


@LONG
async def test_the_servers_answer_503_and_nothing_wrong(run: Run) -> None:
    assert run.wrong_answers == []
    assert run.witness.refused_for_now


@LONG
async def test_the_servers_go_on_by_themselves(run: Run) -> None:
    assert run.slow == []


@LONG
async def test_what_was_answered_before_a_crash_is_still_true(run: Run) -> None:
    assert run.witness.checked
    assert run.untruths == []


@LONG
async def test_the_read_model_equals_the_replay_after_each_crash(run: Run) -> None:
    assert run.contradictions == []
