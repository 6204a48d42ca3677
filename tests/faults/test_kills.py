"""What was answered survives `kill -9` at random moments, of one server or of some of two on one ledger."""

import random
from contextlib import ExitStack
from typing import Any

import pytest

from faults.crash_run import CrashRun, crash_repeatedly
from support import postgres
from support.figures import tell


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((1, 5, "sqlite"), id="one server"),
        pytest.param((2, 3, "sqlite"), id="two servers"),
        pytest.param((2, 5, "postgresql"), id="two servers on PostgreSQL"),
        pytest.param((1, 120, "sqlite"), id="one server, long", marks=pytest.mark.long),
        pytest.param((2, 60, "sqlite"), id="two servers, long", marks=pytest.mark.long),
        pytest.param((2, 100, "postgresql"), id="two servers on PostgreSQL, long", marks=pytest.mark.long),
    ],
)
async def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CrashRun:
    servers, kills, store = request.param
    seed = random.randrange(1_000_000)
    directory = tmp_path_factory.mktemp("kills")
    with ExitStack() as stack:
        there: dict[str, Any] = (
            {"database": stack.enter_context(postgres.a_database())} if store == "postgresql" else {}
        )
        found = await crash_repeatedly(directory, servers=servers, kills=kills, seed=seed, asked=40, **there)
    line = f"{servers} server(s) on {store}, seed {seed}, {found}"
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
