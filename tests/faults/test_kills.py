"""What was answered survives `kill -9` at random moments, of one server or of some of two on one file."""

import random

import pytest

from faults.lives import Lives, lived
from support.figures import tell


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((1, 5), id="one server"),
        pytest.param((2, 3), id="two servers"),
        pytest.param((1, 120), id="one server, long", marks=pytest.mark.long),
        pytest.param((2, 60), id="two servers, long", marks=pytest.mark.long),
    ],
)
async def lives(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lives:
    servers, kills = request.param
    seed = random.randrange(1_000_000)
    directory = tmp_path_factory.mktemp("kills")
    found = await lived(directory, servers=servers, kills=kills, seed=seed, asked=40)
    line = f"{servers} server(s) on a file, seed {seed}, {found}"
    if kills >= 50:
        tell(request.config, line)
    else:
        print(line)  # noqa: T201 - shown when a test fails
    return found


LONG = pytest.mark.timeout(7_200)
"""The fixture takes its time, which counts for the first test that asks for it."""


@LONG
async def test_kills_strike_servers_that_are_just_being_asked(lives: Lives) -> None:
    assert lives.witness.unanswered


@LONG
async def test_after_each_kill_every_answer_that_was_given_is_still_true(lives: Lives) -> None:
    assert lives.witness.checked
    assert lives.untruths == []


@LONG
async def test_after_each_kill_the_read_model_equals_the_replay_of_a_gapless_log(lives: Lives) -> None:
    assert lives.contradictions == []


@LONG
async def test_whoever_is_not_killed_goes_on_and_answers_nobody_wrongly(lives: Lives) -> None:
    assert lives.witness.answered
    assert lives.wrong_answers == []
