"""Each fault of `faults.toml`, put into a copy of the package, is caught by every test that says it does."""

import re
from pathlib import Path

import pytest

from support.broken_copies import assert_imported, broken_copy
from support.promises import faults, lines
from support.verdicts import verdicts_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_800)]

ALWAYS = {
    "a redeemed code is redeemed again": "tests/domain/",
    "a conflict uses up positions": "tests/adapters/ledger/test_group_commit.py",
    "the write-ahead log is synced at checkpoints only": "tests/adapters/ledger/",
}
"""What `make test` tries too, with the quick ones of the tests."""


def caught(fault: str, tests: list[str], directory: Path) -> list[str]:
    """Return those of the tests that fail when the package has the fault."""
    put_in = faults()[fault]
    broken = broken_copy(directory, put_in.file, put_in.right, put_in.wrong)
    assert_imported(broken, directory, put_in.file)
    verdicts = verdicts_of(tests, directory / "report.xml", broken)
    if verdicts.is_open(tests):
        pytest.skip("others kept the machine busy")
    return [test for test in tests if test in verdicts.failed]


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
