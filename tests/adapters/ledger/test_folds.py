"""A row is believed only by releases that fold events in the same way, which its fold number says."""

from pathlib import Path

import msgspec
import pytest

from grantledger.adapters.ledger.projection import FOLDS, row, state_of
from grantledger.domain.aggregate import Versioned
from grantledger.domain.kinds import KINDS, tag_of
from support import history

GOLDEN = Path(__file__).parents[2] / "golden" / "folds"


def folded(category: str) -> Versioned[object]:
    return Versioned(kind=KINDS[category], key="key").evolved(history.every_event(category))


@pytest.mark.parametrize("category", KINDS)
def test_what_is_folded_in_another_way_has_another_number(category: str):
    """When this fails, raise the category's number in `FOLDS` and name the golden file after it."""
    kind, now = KINDS[category], folded(category)
    content = {
        "tags": [tag_of(event) for event in kind.events],
        "row": msgspec.Raw(row(kind, "key", now.version, now.state).state),
    }
    assert (GOLDEN / f"{category}.{FOLDS[category]}.json").read_bytes() == msgspec.json.encode(content)


def test_every_kind_has_one_golden_file():
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{fold}.json" for name, fold in FOLDS.items()}


@pytest.mark.parametrize("category", KINDS)
def test_a_row_holds_the_whole_state(category: str):
    now = folded(category)
    assert state_of(category, row(KINDS[category], "key", now.version, now.state).state) == now.state
