import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.aggregate import Versioned, composed_key
from grantledger.domain.client_registration import CLIENT, evolve
from support.clients import DISABLED, REGISTERED, a_client

parts = st.lists(st.text(max_size=6), max_size=4)


def test_a_stream_is_named_by_category_and_key():
    assert CLIENT.stream_id("glc_editor") == "client:glc_editor"


def test_a_new_aggregate_has_version_0_and_no_state():
    new = Versioned(kind=CLIENT, key="glc_editor")
    assert (new.version, new.state) == (0, None)


def test_every_event_raises_the_version_by_one():
    after = Versioned(kind=CLIENT, key="glc_editor").evolved([REGISTERED, DISABLED])
    assert (after.version, after.state) == (2, a_client(DISABLED))


def test_evolving_by_no_events_changes_nothing():
    loaded = Versioned(kind=CLIENT, key="glc_editor", version=1, state=a_client())
    assert loaded.evolved([]) == loaded


def test_evolving_does_not_change_the_loaded_aggregate():
    loaded = Versioned(kind=CLIENT, key="glc_editor", version=1, state=a_client())
    loaded.evolved([DISABLED])
    assert (loaded.version, loaded.state) == (1, a_client())


def test_a_change_names_the_version_it_was_decided_on():
    loaded = Versioned(kind=CLIENT, key="glc_editor", version=1, state=a_client())
    change = loaded.then([DISABLED])
    assert (change.kind, change.key, change.version) == (CLIENT, "glc_editor", 1)
    assert change.events == (DISABLED,)


def test_a_change_carries_the_state_after_its_events():
    loaded = Versioned(kind=CLIENT, key="glc_editor", version=1, state=a_client())
    change = loaded.then([DISABLED])
    assert change.state == evolve(a_client(), DISABLED)
    assert change.after == Versioned(kind=CLIENT, key="glc_editor", version=2, state=change.state)


def test_an_assertion_has_no_events_and_changes_nothing():
    loaded = Versioned(kind=CLIENT, key="glc_editor", version=1, state=a_client())
    assert loaded.unchanged().events == ()
    assert loaded.unchanged().after == loaded


def test_a_version_without_state_is_a_finished_stream():
    assert Versioned(kind=CLIENT, key="glc_editor", version=1).is_finished
    assert not Versioned(kind=CLIENT, key="glc_editor").is_finished


def test_a_finished_stream_gets_no_more_events():
    with pytest.raises(AssertionError):
        Versioned(kind=CLIENT, key="glc_editor", version=1).then((REGISTERED,))


@given(parts, parts)
def test_different_parts_never_give_the_same_key(one, other):
    assert (composed_key(*one) == composed_key(*other)) == (one == other)


def test_the_boundary_between_two_parts_matters():
    assert composed_key("ab", "c") != composed_key("a", "bc")


@given(parts)
def test_a_composed_key_is_a_url_safe_digest(some):
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", composed_key(*some))


def test_composed_keys_are_the_same_in_every_release():
    assert composed_key("glu_ada", "glc_editor") == "4R1yHJEAjAScA34Dgt5K4owinjCC5_qIiNBnYHxUIcw"
