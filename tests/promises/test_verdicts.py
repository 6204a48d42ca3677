"""Only a check of a test itself that does not hold says that the test caught a fault."""

from pathlib import Path

import pytest

from support.broken_copies import assert_imported, broken_copy
from support.verdicts import Verdicts, verdicts_of

TESTS = """
import time

import pytest


@pytest.fixture
def broken():
    raise AssertionError("around the test")


def test_that_fails():
    assert 1 == 2


@pytest.mark.parametrize("number", [1, 2])
def test_that_fails_for_some(number):
    assert number == 1


def test_that_has_an_error_around_it(broken):
    pass


@pytest.mark.timeout(0.2)
def test_that_takes_too_long():
    time.sleep(20)


def test_that_passes():
    pass
"""


def test_neither_an_error_nor_the_end_of_patience_counts_as_caught(tmp_path: Path) -> None:
    tests = tmp_path / "test_some.py"
    tests.write_text(TESTS, encoding="utf-8")
    failed = verdicts_of([str(tests)], tmp_path / "report.xml", {}).failed
    assert {name.partition("::")[2] for name in failed} == {"test_that_fails", "test_that_fails_for_some"}


@pytest.mark.parametrize(
    ("failed", "skipped", "is_open"),
    [
        ({"one", "other"}, {}, False),
        ({"one", "other"}, {"one"}, False),
        ({"one"}, {"other"}, True),
        ({}, {"one", "other"}, True),
        ({}, {"other"}, False),
        ({"one"}, {}, False),
    ],
)
def test_a_test_that_was_skipped_does_not_hide_one_that_passed(
    failed: set[str], skipped: set[str], is_open: bool
) -> None:
    verdicts = Verdicts(failed=frozenset(failed), skipped=frozenset(skipped))
    assert verdicts.is_open(["one", "other"]) is is_open


def test_tests_that_cannot_be_collected_say_nothing(tmp_path: Path) -> None:
    tests = tmp_path / "test_some.py"
    tests.write_text("import grantledger.nothing", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"grantledger\.nothing"):
        verdicts_of([str(tests)], tmp_path / "report.xml", {})


def test_a_copy_that_cannot_be_imported_is_no_fault(tmp_path: Path) -> None:
    environment = broken_copy(tmp_path, "domain/pkce.py", 'if method != "S256":', "if method != S256:\n    ?")
    with pytest.raises(AssertionError, match="cannot be imported"):
        assert_imported(environment, tmp_path, "domain/pkce.py")


def test_what_is_imported_must_be_the_copy(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        assert_imported({}, tmp_path, "domain/pkce.py")
