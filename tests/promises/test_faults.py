"""Each fault of `faults.toml`, put into a copy of the package, is caught by every test that says it does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.broken_copies import broken_copy
from support.promises import ROOT, faults, lines

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ALWAYS = {
    "a redeemed code is redeemed again": "tests/domain/",
    "a conflict uses up positions": "tests/adapters/ledger/test_group_commit.py",
    "the write-ahead log is synced at checkpoints only": "tests/adapters/ledger/",
}
"""What `make test` tries too, with the quick ones of the tests."""


def caught(fault: str, tests: list[str], directory: Path) -> list[str]:
    """Return those of the tests that fail when the package has the fault."""
    name = faults()[fault]
    environment = {
        **os.environ,
        **broken_copy(directory, name.file, name.right, name.wrong),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(directory / "examples"),
    }
    pytest_ = Path(sys.executable).with_name("pytest")
    run = subprocess.run(
        [pytest_, "-q", "--tb=line", "-p", "no:cacheprovider", "--timeout=100", "-m", "not slow", *tests],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    failed = set(re.findall(r"^(?:FAILED|ERROR) ([\w/.]+::\w+)", run.stdout, re.MULTILINE))
    skipped = "others kept the machine busy" in run.stdout
    if skipped and not failed:
        pytest.skip("others kept the machine busy")
    return [test for test in tests if test in failed]


def in_one_word(fault: str) -> str:
    """As `-k` can name it."""
    return re.sub(r"\W+", "-", fault).strip("-")


@pytest.mark.parametrize("fault", ALWAYS, ids=in_one_word)
def test_a_fault_is_caught_by_the_quick_tests(fault: str, tmp_path: Path) -> None:
    tests = [line.name for line in lines() if line.fault == fault and line.name.startswith(ALWAYS[fault])]
    assert tests
    assert caught(fault, tests, tmp_path) == tests


@pytest.mark.slow
@pytest.mark.parametrize("fault", faults(), ids=in_one_word)
def test_a_fault_is_caught_by_every_test_that_says_so(fault: str, tmp_path: Path) -> None:
    tests = [line.name for line in lines() if line.fault == fault]
    assert caught(fault, tests, tmp_path) == tests
