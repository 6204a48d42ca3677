"""Promise 5: what was answered survives the loss of everything that was written but not synced."""

import random
from pathlib import Path

import pytest

from faults.disk import Disk
from faults.lives import Lives, lived
from support.figures import tell

pytestmark = pytest.mark.timeout(7_200)


@pytest.fixture(
    scope="module",
    params=[pytest.param(3, id="short"), pytest.param(60, id="long", marks=pytest.mark.long)],
)
async def lives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shim: Path
) -> Lives:
    directory = tmp_path_factory.mktemp("power")
    (directory / "server").mkdir()
    disk = Disk(shim, directory / "server" / "grantledger.sqlite3", directory)
    seed = random.randrange(1_000_000)
    found = await lived(directory / "server", servers=1, kills=request.param, seed=seed, asked=40, disk=disk)
    line = f"power cuts, seed {seed}, {found}"
    if request.param >= 50:
        tell(request.config, line)
    else:
        print(line)  # noqa: T201 - shown when a test fails
    return found


async def test_after_each_power_cut_every_answer_that_was_given_is_still_true(lives: Lives) -> None:
    assert lives.witness.checked
    assert lives.untruths == []


async def test_after_each_power_cut_the_read_model_equals_the_replay_of_a_gapless_log(lives: Lives) -> None:
    assert lives.contradictions == []


async def test_until_its_power_is_cut_a_server_answers_and_nobody_wrongly(lives: Lives) -> None:
    assert lives.witness.answered
    assert lives.wrong_answers == []
