"""`docs/promises.md` as data: which test shows what, and which deliberate fault it was seen to catch."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"
FAULTS = Path(__file__).parents[1] / "promises" / "faults.toml"

_SEEN = re.compile(r"^Seen to catch: (.+?)\.?$", re.MULTILINE)
_SECTION = re.compile(r"^#{2,3} (.+)$")
_ROW = re.compile(r"^\| `([\w/]+\.py)::(\w+)` \| (.+) \|$")


class Line(Struct, frozen=True):
    """One row of a table of the page; `fault` as the test names it."""

    section: str
    file: str
    test: str
    fault: str

    @property
    def name(self) -> str:
        """How pytest calls the test, whatever its parameters."""
        return f"{self.file}::{self.test}"


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """A text of the package, and what takes its place."""

    name: str
    file: str
    right: str
    wrong: str


@cache
def lines() -> list[Line]:
    section, found = "", []
    for text in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := _SECTION.match(text):
            section = heading[1]
        elif row := _ROW.match(text):
            found.append(Line(section, row[1], row[2], row[3]))
    return found


@cache
def faults() -> dict[str, Fault]:
    """Return by its name every fault that can be put in at any time."""
    listed = [Fault(**each) for each in tomllib.loads(FAULTS.read_text(encoding="utf-8"))["fault"]]
    named = {fault.name: fault for fault in listed}
    assert len(named) == len(listed), "two faults have one name"
    return named


def seen_to_catch(line: Line) -> list[str]:
    """Return the faults that the docstring of the test names: "Seen to catch: one; another."."""
    tree = ast.parse((ROOT / line.file).read_text(encoding="utf-8"))
    tests = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == line.test
    ]
    said = [" ".join(paragraph.split()) for test in tests for paragraph in _paragraphs(test)]
    return [fault for text in said if (seen := _SEEN.match(text)) for fault in seen[1].split("; ")]


def _paragraphs(test: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return (ast.get_docstring(test) or "").split("\n\n")
