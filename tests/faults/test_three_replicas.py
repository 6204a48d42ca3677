"""Three replicas behind nginx survive the kill of any one process, and a restart of the database."""

import random

import pytest

from faults.three_replicas import FAULTS, Run, run_faults
from support.figures import tell
from support.nginx import needs_nginx
from support.stores import once

pytestmark = [needs_nginx, pytest.mark.timeout(7_200), once("has a PostgreSQL of its own in each run")]


@pytest.fixture(
    scope="module",
    params=[pytest.param(1, id="short"), pytest.param(20, id="long", marks=pytest.mark.long)],
)
async def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    seed = random.randrange(1_000_000)
    found = await run_faults(tmp_path_factory.mktemp("replicas"), rounds=request.param, seed=seed)
    line = f"three replicas, seed {seed}, {request.param} round(s): {found}"
    if request.param > 1:
        tell(request.config, line)
    else:
        print(line)  # noqa: T201 - shown when a test fails
    return found


async def test_after_each_fault_requests_are_answered_again(run: Run) -> None:
    assert run.silent_after == []
    assert all(run.gaps[fault.name] for fault in FAULTS)


async def test_no_answer_is_wrong_whatever_is_killed(run: Run) -> None:
    assert run.wrong_answers == []


async def test_every_earlier_answer_is_still_true(run: Run) -> None:
    assert run.witness.checked
    assert run.untruths == []


async def test_the_read_model_equals_the_replay(run: Run) -> None:
    assert run.contradictions == []


async def test_the_probes_cannot_be_reached_from_the_outside(run: Run) -> None:
    assert run.health_from_outside == 404
