"""What was answered survives `kill -9` at random moments, of one server or of some of two on one file."""

import random

import pytest

from faults.lives import Lives, lived
from support.figures import tell

pytestmark = pytest.mark.e2e


@pytest.fixture(
    scope="module",
    params=[pytest.param(5, id="short"), pytest.param(120, id="long", marks=pytest.mark.slow)],
)
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module", params=[1, 2], ids=["one server", "two servers"])
async def lives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kills: int
) -> Lives:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown when a test fails
    directory = tmp_path_factory.mktemp("kills")
    found = await lived(directory, servers=request.param, kills=kills, seed=seed, asked=kills)
    print(found)  # noqa: T201
    if kills >= 100:
        tell(request.config, f"{request.param} server(s) on a file, {found}")
    return found


LONG = pytest.mark.timeout(1800)
"""The fixture takes its time, which counts for the first test that asks for it."""


@LONG
async def test_after_each_kill_every_answer_that_was_given_is_still_true(lives: Lives) -> None:
    assert lives.untruths == []


@LONG
async def test_after_each_kill_the_read_model_equals_the_replay_of_a_gapless_log(lives: Lives) -> None:
    assert lives.contradictions == []


@LONG
async def test_whoever_is_not_killed_goes_on_and_answers_nobody_wrongly(lives: Lives) -> None:
    assert lives.wrong_answers == []
