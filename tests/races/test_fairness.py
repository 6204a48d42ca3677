"""Writers of several processes take turns: none starves, and none waits long for its turn."""

import os

import pytest

from grantledger.adapters.ledger import migrations
from races.saturation import SHARE, WAIT, Saturation, saturated
from support.figures import tell
from support.stores import ledger_of, opened

IN_CI = bool(os.environ.get("CI"))
ATTEMPTS = 8 if IN_CI else 3

pytestmark = pytest.mark.timeout(900)
"""The first test runs the fixture with all its attempts, which the timeout has to cover."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(3, id="short"), pytest.param(30, id="long", marks=pytest.mark.long)],
)
def seconds(request: pytest.FixtureRequest) -> float:
    return float(request.param)


@pytest.fixture(scope="module", params=[2, 4], ids=["two processes", "four processes"])
def saturation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, seconds: float
) -> Saturation:
    """The first measurement that is fair or conclusive.

    If there is none, return the one with the best share: a process that starves in every attempt is a fault.
    """
    tried: list[Saturation] = []
    while len(tried) < ATTEMPTS:
        directory = tmp_path_factory.mktemp("fairness")
        ledger = ledger_of(directory)
        with opened(ledger) as database:
            migrations.migrate(database)
        tried.append(saturated(ledger, directory, processes=request.param, seconds=seconds))
        if seconds > 10:
            tell(request.config, f"{request.param} saturating processes for {seconds:.0f} s: {tried[-1]}")
        if tried[-1].is_fair or tried[-1].is_conclusive:
            return tried[-1]
    return max(tried, key=lambda one: one.slowest_share)


def test_the_slowest_of_saturating_processes_writes_a_quarter_of_the_mean(saturation: Saturation) -> None:
    assert saturation.slowest_share >= SHARE, str(saturation)


def test_no_append_of_saturating_processes_takes_over_a_second(saturation: Saturation) -> None:
    if max(saturation.waits) > WAIT and not saturation.is_conclusive:
        pytest.skip(f"the machine was too busy in all {ATTEMPTS} attempts: {saturation}")
    assert max(saturation.waits) <= WAIT, str(saturation)
