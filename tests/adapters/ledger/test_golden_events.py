"""Every tag ever shipped: what is stored of an event today must be read for ever."""

from pathlib import Path

import pytest

from grantledger.adapters.ledger.mapper import UPCASTERS, TagMapper
from grantledger.domain.kinds import EVENTS
from support import codes, history

GOLDEN = Path(__file__).parents[2] / "golden" / "events"


# A member that was added keeps the tag, and leaves the file of what was stored without it.
SHAPES = {tag: (tag, history.example(tag)) for tag in EVENTS} | {
    "authorization_code.issued.v1+id_token": ("authorization_code.issued.v1", codes.ISSUED_FOR_ID_TOKEN)
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_stored_bytes_still_decode_to_the_event(shape: str):
    tag, event = SHAPES[shape]
    assert TagMapper().event(tag, (GOLDEN / f"{shape}.json").read_bytes()) == event


@pytest.mark.parametrize("shape", SHAPES)
def test_the_event_is_still_stored_as_the_same_bytes(shape: str):
    tag, event = SHAPES[shape]
    stored = TagMapper().stored("stream", 1, event)
    assert (stored.topic, stored.state) == (tag, (GOLDEN / f"{shape}.json").read_bytes())


def test_every_tag_has_its_golden_file_and_every_file_its_tag():
    shapes = SHAPES.keys() | UPCASTERS.keys()
    assert {path.name for path in GOLDEN.iterdir()} == {f"{shape}.json" for shape in shapes}
