"""The pages that are made from the code say what the code says."""

import importlib.util
import inspect
from pathlib import Path

import pytest

from grantledger.domain.kinds import EVENTS

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert _spec
assert _spec.loader
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.mark.parametrize("name", generate.PAGES)
def test_the_page_is_what_make_docs_writes(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == generate.PAGES[name]()


@pytest.mark.parametrize("tag", sorted(EVENTS))
def test_every_event_says_what_happened_in_one_or_two_sentences(tag: str) -> None:
    said = inspect.cleandoc(EVENTS[tag].__doc__ or "")
    assert said.endswith(".")
    assert len(said) < 250
    assert said in (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
