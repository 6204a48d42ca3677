"""Promise 5: what was answered survives the loss of everything that was written but not synced."""

import random
from pathlib import Path

import pytest

from faults.crash_run import CrashRun, crash_repeatedly
from faults.disk import Disk
from support.figures import tell
from support.stores import once

pytestmark = [pytest.mark.timeout(7_200), once("is about the disk under the SQLite file")]


@pytest.fixture(
    scope="module",
    params=[pytest.param(3, id="short"), pytest.param(60, id="long", marks=pytest.mark.long)],
)
async def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shim: Path
) -> CrashRun:
    directory = tmp_path_factory.mktemp("power")
    (directory / "server").mkdir()
    disk = Disk(shim, directory / "server" / "grantledger.sqlite3", directory)
    seed = random.randrange(1_000_000)
    found = await crash_repeatedly(
        directory / "server", servers=1, kills=request.param, seed=seed, asked=40, disk=disk
    )
    line = f"power cuts, seed {seed}, {found}"
    if request.param >= 50:
        tell(request.config, line)
    else:
        print(line)  # noqa: T201 - shown when a test fails
    return found


async def test_after_each_power_cut_every_earlier_answer_is_still_true(run: CrashRun) -> None:
    assert run.witness.checked
    assert run.untruths == []


async def test_after_each_power_cut_the_read_model_equals_the_replay(run: CrashRun) -> None:
    assert run.contradictions == []


async def test_a_server_gives_no_wrong_answer_before_its_power_is_cut(run: CrashRun) -> None:
    assert run.witness.answered
    assert run.wrong_answers == []
