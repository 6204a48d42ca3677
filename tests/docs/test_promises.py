"""`docs/promises.md` names tests that exist, and at least one for every promise."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8").splitlines()
PROMISES = 11

_SECTION = re.compile(r"^## (\d+)\.")
_ROW = re.compile(r"^- `([\w/]+\.py)::(\w+)`$")


def _rows() -> list[tuple[int, str, str]]:
    """Return promise number, file and test of every row."""
    promise, rows = 0, []
    for line in PAGE:
        if heading := _SECTION.match(line):
            promise = int(heading[1])
        elif row := _ROW.match(line):
            rows.append((promise, row[1], row[2]))
    return rows


@cache
def _tests_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


def test_every_promise_has_its_tests() -> None:
    counted = Counter(promise for promise, _, _ in _rows())
    assert [number for number in range(1, PROMISES + 1) if not counted[number]] == []


def test_every_row_of_the_page_is_read() -> None:
    assert len(_rows()) == len([line for line in PAGE if line.startswith("-")])


@pytest.mark.parametrize(("file", "test"), sorted({(file, test) for _, file, test in _rows()}))
def test_a_test_of_the_page_exists(file: str, test: str) -> None:
    assert test in _tests_of(file)
