"""Rows: which release folded them, and which may be missing."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from grantledger.adapters.ledger.read_model import FOLDS, RETENTION, Retention, row_of, state_of
from grantledger.domain.aggregate import Versioned
from grantledger.domain.kinds import KINDS, tag_of
from support import codes, grants, history

GOLDEN = Path(__file__).parents[2] / "golden" / "folds"


def folded(category: str) -> Versioned[object]:
    return Versioned(kind=KINDS[category], key="key").evolved(history.every_event(category))


@pytest.mark.parametrize("category", KINDS)
def test_what_is_folded_in_another_way_has_another_number(category: str):
    """When this fails, raise the category's number in `FOLDS` and name the golden file after it."""
    kind, now = KINDS[category], folded(category)
    content = {
        "tags": [tag_of(event) for event in kind.events],
        "row": msgspec.Raw(row_of(kind, "key", now.version, now.state).state),
    }
    assert (GOLDEN / f"{category}.{FOLDS[category]}.json").read_bytes() == msgspec.json.encode(content)


def test_every_kind_has_one_golden_file():
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{fold}.json" for name, fold in FOLDS.items()}


@pytest.mark.parametrize("category", KINDS)
def test_a_row_holds_the_whole_state(category: str):
    now = folded(category)
    assert state_of(category, row_of(KINDS[category], "key", now.version, now.state).state) == now.state


CODE_ENDS, DAY = codes.ISSUED.expires_at, 86_400
GRANT_ENDS = grants.OPENED_AT + grants.REFRESH_LIFETIME


@pytest.mark.parametrize(
    ("category", "event", "ends"),
    [
        ("code", codes.ISSUED, CODE_ENDS),
        ("signin", history.every_event("signin")[0], 2_000),
        ("grant", grants.OPENED, GRANT_ENDS + 30 * DAY),
        ("grant", replace(grants.OPENED, refresh_expires_at=None), grants.OPENED_AT + 3_600 + 30 * DAY),
    ],
)
def test_a_row_may_be_missing_from_the_second_of_its_end_on(category: str, event: Struct, ends: int):
    state = Versioned(kind=KINDS[category], key="key").evolved((event,)).state
    assert [RETENTION.is_over(category, state, now=now) for now in (ends - 1, ends)] == [False, True]


def test_a_revoked_grant_ends_when_it_is_revoked():
    state: Any = Versioned(kind=KINDS["grant"], key="key").evolved(history.every_event("grant")).state
    retention = Retention(ended_grants=DAY)
    ends = state.revoked_at + DAY
    assert [retention.is_over("grant", state, now=now) for now in (ends - 1, ends)] == [False, True]


@pytest.mark.parametrize("category", sorted(KINDS.keys() - {"code", "signin", "grant"}))
def test_a_row_of_any_other_kind_stays_for_ever(category: str):
    assert not RETENTION.is_over(category, folded(category).state, now=2**60)
