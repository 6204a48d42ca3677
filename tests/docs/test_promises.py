"""`docs/promises.md` is true: its tests are run and name their faults, and each fault can be put in."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.promises import PAGE, ROOT, Fault, Line, faults, lines, seen_to_catch

pytestmark = pytest.mark.timeout(300)

PROMISES = 10


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """The names of all tests of the files of the page that `make test` runs, without their parameters."""
    selection = re.search(
        r'^test: .*\n\t.*pytest -m "([^"]+)"', (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert selection
    files = sorted({line.file for line in lines()})
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("pytest"), "--collect-only", "-q", "-p", "no:cacheprovider"),
            *("-m", selection[1], *files),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2_000:]
    return {name.partition("[")[0] for name in run.stdout.splitlines()}


def test_every_promise_has_its_tests() -> None:
    sections = Counter(line.section.partition(".")[0] for line in lines())
    assert [number for number in range(1, PROMISES + 1) if not sections[str(number)]] == []


def test_every_row_of_the_page_is_read() -> None:
    rows = [text for text in PAGE.read_text(encoding="utf-8").splitlines() if text.startswith("| `")]
    assert len(lines()) == len(rows)
    assert len(set(lines())) == len(rows)


@pytest.mark.parametrize("line", lines(), ids=lambda line: f"{line.name} {line.fault}")
def test_a_test_of_the_page_is_collected_and_names_its_fault(line: Line, collected: set[str]) -> None:
    assert line.name in collected
    assert line.fault in faults()
    assert line.fault in seen_to_catch(line)


@pytest.mark.parametrize("fault", faults().values(), ids=lambda fault: fault.name)
def test_a_fault_can_be_put_in_and_stands_on_the_page(fault: Fault) -> None:
    source = (ROOT / fault.file).read_text(encoding="utf-8")
    assert source.count(fault.right) == 1, f"{fault.file} has changed: write the fault anew in faults.toml"
    assert fault.name in {line.fault for line in lines()}
