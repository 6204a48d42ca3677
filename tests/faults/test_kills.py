"""What was answered survives `kill -9` at random moments, of one server or of some of two on one ledger."""

import random

import pytest

from faults.crash_run import CrashRun, crash_repeatedly
from support.figures import tell
from support.stores import STORE, once


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((1, 5), id="one server", marks=once("two servers are enough")),
        pytest.param((2, 5), id="two servers"),
        pytest.param(
            (1, 120), id="one server, long", marks=[pytest.mark.long, once("two servers are enough")]
        ),
        pytest.param((2, 100), id="two servers, long", marks=pytest.mark.long),
    ],
)
async def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CrashRun:
    servers, kills = request.param
    seed = random.randrange(1_000_000)
    directory = tmp_path_factory.mktemp("kills")
    found = await crash_repeatedly(directory, servers=servers, kills=kills, seed=seed, asked=40)
    line = f"{servers} server(s) on {STORE}, seed {seed}, {found}"
    if kills >= 50:
        tell(request.config, line)
    else:
        print(line)  # noqa: T201 - shown when a test fails
    return found


LONG = pytest.mark.timeout(7_200)
"""The time of the fixture counts for the first test that uses it."""


@LONG
async def test_kills_interrupt_requests(run: CrashRun) -> None:
    assert run.witness.unanswered


@LONG
async def test_after_each_kill_every_earlier_answer_is_still_true(run: CrashRun) -> None:
    assert run.witness.checked
    assert run.untruths == []


@LONG
async def test_after_each_kill_the_read_model_equals_the_replay(run: CrashRun) -> None:
    assert run.contradictions == []


@LONG
async def test_servers_give_no_wrong_answer_before_they_are_killed(run: CrashRun) -> None:
    assert run.witness.answered
    assert run.wrong_answers == []
