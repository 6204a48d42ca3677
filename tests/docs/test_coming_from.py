"""`docs/coming-from.md` names a test for every row, and those tests exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8").splitlines()

_TEST = re.compile(r"`(test_\w+)`")


def _rows() -> list[list[str]]:
    """Return the cells of every row of the tables, without their heads."""
    lines = [line.strip().strip("|") for line in PAGE if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in cells if row[-1] != "Test" and set(row[0]) != {"-"}]


def _tests() -> set[str]:
    found = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in found.findall(file.read_text(encoding="utf-8"))}


def test_every_row_names_its_test() -> None:
    rows = _rows()
    assert rows
    assert [row for row in rows if len(row) != 3 or not _TEST.fullmatch(row[-1])] == []


def test_every_test_of_the_page_exists() -> None:
    named = {found[1] for row in _rows() if (found := _TEST.fullmatch(row[-1]))}
    assert named - _tests() == set()
