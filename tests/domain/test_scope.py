import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.scope import ScopeInvalid, ScopeWidened, join, narrowed, requested, split

KNOWN = ("openid", "profile", "email", "offline_access", "notes:read", "notes:write")
DEFAULT = ("openid",)
GRANTED = ("openid", "notes:read", "notes:write")

scopes = st.lists(st.sampled_from([*KNOWN, "unknown", "\u00e9", 'a"b', "a\\b"])).map(" ".join)


def test_any_whitespace_separates_and_duplicates_are_dropped():
    assert split("  openid\tprofile \n openid  email\u00a0") == ("openid", "profile", "email")


@pytest.mark.parametrize("scope", ['a"b', "a\\b", "caf\u00e9", "a\x7f", "a\x00b"])
def test_malformed_scope_tokens_are_dropped(scope):
    assert split(f"openid {scope}") == ("openid",)


@pytest.mark.parametrize("scope", [None, "", "  \t "])
def test_an_empty_scope_has_no_tokens(scope):
    assert split(scope) == ()


@pytest.mark.parametrize("scope", [None, "", "  "])
def test_a_request_without_scope_gets_the_default(scope):
    assert requested(scope, known=KNOWN, default=DEFAULT) == DEFAULT


def test_unknown_scopes_are_dropped_and_the_order_is_kept():
    assert requested(" offline_access foo openid", known=KNOWN, default=DEFAULT) == (
        "offline_access",
        "openid",
    )


@pytest.mark.parametrize("scope", ["foo", "foo bar", "OPENID", '"'])
def test_a_request_with_only_unknown_scopes_is_refused(scope):
    with pytest.raises(ScopeInvalid):
        requested(scope, known=KNOWN, default=DEFAULT)


@pytest.mark.parametrize("scope", [None, "", " "])
def test_a_refresh_without_scope_keeps_what_was_granted(scope):
    assert narrowed(scope, granted=GRANTED, known=KNOWN) == GRANTED


def test_a_refresh_may_narrow_and_keeps_the_grants_order():
    assert narrowed("notes:read foo openid", granted=GRANTED, known=KNOWN) == ("openid", "notes:read")


def test_a_refresh_may_not_widen():
    with pytest.raises(ScopeWidened):
        narrowed("openid email", granted=GRANTED, known=KNOWN)


def test_a_refresh_with_only_unknown_scopes_is_refused():
    with pytest.raises(ScopeInvalid):
        narrowed("foo", granted=GRANTED, known=KNOWN)


def test_a_granted_scope_stays_usable_after_it_left_the_settings():
    assert narrowed("legacy", granted=("openid", "legacy"), known=KNOWN) == ("legacy",)


@given(scopes)
def test_joining_and_splitting_scopes_changes_nothing(scope):
    assert split(join(split(scope))) == split(scope)


@given(scopes)
def test_a_refresh_gives_at_most_what_was_granted(scope):
    try:
        kept = narrowed(scope, granted=GRANTED, known=KNOWN)
    except ScopeInvalid:
        return
    assert set(kept) <= set(GRANTED)
    assert kept
