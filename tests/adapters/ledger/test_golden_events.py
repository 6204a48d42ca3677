"""Every tag ever shipped: what is stored of an event today must be read for ever."""

from pathlib import Path

import pytest

from grantledger.adapters.ledger.mapper import UPCASTERS, TagMapper
from grantledger.domain.kinds import EVENTS
from support import history

GOLDEN = Path(__file__).parents[2] / "golden" / "events"


@pytest.mark.parametrize("tag", EVENTS)
def test_the_stored_bytes_still_decode_to_the_event(tag: str):
    assert TagMapper().event(tag, (GOLDEN / f"{tag}.json").read_bytes()) == history.example(tag)


@pytest.mark.parametrize("tag", EVENTS)
def test_the_event_is_still_stored_as_the_same_bytes(tag: str):
    stored = TagMapper().stored("stream", 1, history.example(tag))
    assert (stored.topic, stored.state) == (tag, (GOLDEN / f"{tag}.json").read_bytes())


def test_every_tag_has_its_golden_file_and_every_file_its_tag():
    tags = EVENTS.keys() | UPCASTERS.keys()
    assert {path.name for path in GOLDEN.iterdir()} == {f"{tag}.json" for tag in tags}
