"""What pytest says of tests that another pytest runs."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, parse

from msgspec import Struct

ROOT = Path(__file__).parents[2]

ALL_PASSED, SOME_FAILED = 0, 1


class Verdicts(Struct, frozen=True):
    """Names of tests, without their parameters.

    `failed`: a check of their own did not hold. Neither an error around them nor the end of pytest's patience
    is a verdict: those come of many things. `skipped`: others kept the machine busy.
    """

    failed: frozenset[str]
    skipped: frozenset[str]

    def is_open(self, tests: Iterable[str]) -> bool:
        """Whether nothing is said yet: each of the tests that did not fail was kept from it by others."""
        missing = frozenset(tests) - self.failed
        return bool(missing) and missing <= self.skipped


def verdicts_of(tests: Sequence[str], report: Path, environment: Mapping[str, str]) -> Verdicts:
    """Run the tests in a pytest of their own, and write its report to a file that is not there yet."""
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("pytest"), "-q", "--tb=line", "-p", "no:cacheprovider"),
            *("--timeout=300", "-m", "not slow", "-o", "junit_family=xunit1", f"--junit-xml={report}"),
            *tests,
        ],
        cwd=ROOT,
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": f"{report}.examples", **environment},
        capture_output=True,
        text=True,
        timeout=1_780,
        check=False,
    )
    assert run.returncode in (ALL_PASSED, SOME_FAILED), run.stdout[-2_000:] + run.stderr[-2_000:]
    print(run.stdout)  # noqa: T201 - shown when one of them did not fail
    cases = [*parse(report).getroot().iter("testcase")]
    return Verdicts(
        failed=frozenset(_name(case) for case in cases if _failed(case)),
        skipped=frozenset(
            _name(case) for case in cases if "others kept the machine busy" in _of(case, "skipped")
        ),
    )


def _name(case: Element) -> str:
    return f"{case.get('file')}::{case.get('name', '').partition('[')[0]}"


def _failed(case: Element) -> bool:
    said = _of(case, "failure")
    return bool(said) and "from pytest-timeout" not in said


def _of(case: Element, outcome: str) -> str:
    return "".join(f"{found.get('message')} {found.text}" for found in case.iter(outcome))
