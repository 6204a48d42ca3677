"""The catalogue of errors is complete: whoever adds a refusal tells how it is mended."""

import importlib.util
import re
from pathlib import Path

import pytest

from grantledger.adapters.http.application import WORDS
from grantledger.adapters.http.page_refusals import PAGE_REFUSALS
from grantledger.adapters.http.protocol import SAID
from grantledger.adapters.http.wire_errors import WIRE_ERRORS

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("error_catalogue", ROOT / "docs" / "error_catalogue.py")
assert _spec
assert _spec.loader
catalogue = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(catalogue)

REFUSALS = catalogue.refusals()
MENDING = catalogue.mending()
OTHERS = ("What HTTP itself refuses", "Guards")
ENTRIES = [name for section, entries in MENDING.items() if section not in OTHERS for name in entries]


def test_every_refusal_has_one_entry_and_every_entry_is_a_refusal() -> None:
    assert sorted(ENTRIES) == sorted(REFUSALS)


def test_every_wire_error_and_every_page_is_of_a_refusal_in_the_catalogue() -> None:
    assert {refusal.__name__ for refusal in {*WIRE_ERRORS, *PAGE_REFUSALS}} <= set(ENTRIES)


def test_every_status_of_http_itself_has_an_entry() -> None:
    statuses = {int(status) for status in MENDING["What HTTP itself refuses"]}
    assert statuses == {*WORDS, *SAID, 500, 503}


def test_every_answer_of_a_guard_has_an_entry() -> None:
    assert set(MENDING["Guards"]) == set(catalogue.guard_answers())


@pytest.fixture(scope="module")
def sources() -> str:
    folders = [ROOT / name for name in ("domain", "application", "adapters", "entrypoints")]
    return "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))


@pytest.fixture(scope="module")
def tests() -> str:
    return "\n".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py") if p != Path(__file__))


ROOTS = ("TooManyRequests",)
"""Never raised itself."""


@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in ROOTS])
def test_what_the_catalogue_tells_can_happen(sources: str, name: str) -> None:
    assert re.search(rf"(raise|return|else|refusal =|=) {name}\b|\b{name}\(", sources)


@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in ROOTS])
def test_what_the_catalogue_tells_is_seen_in_a_test(tests: str, name: str) -> None:
    assert re.search(rf"\b{name}\b", tests)
