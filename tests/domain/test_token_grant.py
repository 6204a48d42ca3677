"""The refresh table, row by row; then narrowing, access tokens and revocation."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grantledger.domain.refusal import Refusal
from grantledger.domain.resource_indicator import ResourceForeign
from grantledger.domain.role import RolesAllowNoScope
from grantledger.domain.scope import ScopeInvalid, ScopeWidened
from grantledger.domain.token_grant import (
    MAX_NETWORKS,
    MAX_PAIRS,
    MAX_REUSE_WINDOW,
    Access,
    AccessTokenHasEnded,
    AccessTokensRevoked,
    Event,
    GrantHasExpired,
    GrantIsRevoked,
    GrantRefreshed,
    GrantRevoked,
    Narrowing,
    RefreshRetriedElsewhere,
    RefreshTokenReused,
    RefreshTokenUnknown,
    RetryAsksForSomethingElse,
    TokenBelongsToAnotherClient,
    TokenGrant,
    TooManyNarrowings,
)
from support.grants import (
    ACCESS_LIFETIME,
    CONSENTED,
    KNOWN,
    ONLY_READ,
    ONLY_WRITE,
    OPENED_AT,
    REFRESH_LIFETIME,
    RESOURCE,
    WINDOW,
    after,
    an_open_grant,
    refresh,
    refreshed,
)

REVOKED = GrantRevoked(reason="revoked_by_client", revoked_at=OPENED_AT)


def reuse_of(generation: int, *, at: int) -> tuple[RefreshTokenReused, GrantRevoked]:
    return (
        RefreshTokenReused(generation=generation, reused_at=at),
        GrantRevoked(reason="refresh_token_reused", revoked_at=at),
    )


def access(
    grant: TokenGrant, generation: int = 0, *, pair: int = 0, expires_at: int = 9_000, now: int = 1_000
):
    return grant.check_access(generation=generation, pair=pair, expires_at=expires_at, now=now)


# the current token (generation n) of a live grant: generation n + 1


def test_the_current_refresh_token_gives_the_next_generation():
    (event,) = refresh(refreshed(an_open_grant(), 2_000), 1, at=3_000)
    assert isinstance(event, GrantRefreshed)
    assert event.generation == 2


def test_a_refresh_event_holds_all_that_its_tokens_are_derived_from():
    assert refresh(an_open_grant(), 0, at=2_000, asked=ONLY_READ, key_id="key-2") == (
        GrantRefreshed(
            generation=1,
            resource=RESOURCE,
            scopes=("notes:read",),
            key_id="key-2",
            refreshed_at=2_000,
            access_expires_at=2_000 + ACCESS_LIFETIME,
            refresh_expires_at=2_000 + REFRESH_LIFETIME,
        ),
    )


def test_the_refresh_lifetime_slides_with_use():
    grant = refreshed(an_open_grant(), OPENED_AT + REFRESH_LIFETIME - 1)
    assert refresh(grant, 1, at=OPENED_AT + 2 * REFRESH_LIFETIME - 2)


def test_nothing_outlives_the_absolute_limit():
    (event,) = refresh(an_open_grant(expires_at=2_500), 0, at=2_000)
    assert isinstance(event, GrantRefreshed)
    assert (event.access_expires_at, event.refresh_expires_at) == (2_500, 2_500)


def test_a_refreshed_grant_names_the_key_of_its_newest_tokens():
    grant = after(an_open_grant(), refresh(an_open_grant(), 0, at=2_000, key_id="key-2"))
    assert grant.key_id == "key-2"


# older than n, within the window, same scope and resource: the current pair


@pytest.mark.parametrize("later", [0, 1, WINDOW - 1])
def test_a_retry_within_the_window_changes_nothing(later):
    assert refresh(refreshed(an_open_grant(), 2_000), 0, at=2_000 + later) == ()


@pytest.mark.parametrize("generation", [0, 1, 2, 3])
def test_every_generation_of_a_wide_chain_is_a_retry_within_its_own_window(generation):
    grant = refreshed(an_open_grant(), 2_000, 2_010, 2_020, 2_030)
    assert refresh(grant, generation, at=2_059) == ()


@pytest.mark.parametrize("generation", [0, 1, 2, 3, 4])
def test_generations_of_one_second_are_all_retries(generation):
    assert refresh(refreshed(an_open_grant(), *[2_000] * 5), generation, at=2_059) == ()


def test_a_narrowed_refresh_may_be_retried_with_the_same_scope():
    grant = refreshed(an_open_grant(), 2_000, asked=ONLY_READ)
    assert refresh(grant, 0, at=2_010, asked=ONLY_READ) == ()


def test_a_retry_in_the_last_second_before_expiry_succeeds():
    assert refresh(refreshed(an_open_grant(expires_at=2_010), 2_000), 0, at=2_009) == ()


# older than n, within the window, another scope or resource: refused, nothing revoked


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (CONSENTED, ONLY_READ),
        (ONLY_READ, CONSENTED),
        (ONLY_READ, ONLY_WRITE),
    ],
)
def test_a_retry_for_another_scope_is_refused(first, then):
    grant = refreshed(an_open_grant(), 2_000, asked=first)
    with pytest.raises(RetryAsksForSomethingElse):
        refresh(grant, 0, at=2_010, asked=then)


def test_a_retry_must_match_the_current_tokens_not_its_first_response():
    grant = refreshed(refreshed(an_open_grant(), 2_000, asked=ONLY_READ), 2_010)
    with pytest.raises(RetryAsksForSomethingElse):
        refresh(grant, 0, at=2_020, asked=ONLY_READ)


# older than n, after the window or without one: reuse is recorded, and the grant is revoked


@pytest.mark.parametrize("later", [WINDOW, WINDOW + 1, 10 * WINDOW])
def test_reuse_from_the_second_the_window_ends_revokes_the_grant(later):
    grant = refreshed(an_open_grant(), 2_000)
    assert refresh(grant, 0, at=2_000 + later) == reuse_of(0, at=2_000 + later)


def test_without_a_window_every_reuse_revokes_the_grant():
    grant = refreshed(an_open_grant(), 2_000)
    assert refresh(grant, 0, at=2_000, window=0) == reuse_of(0, at=2_000)


@pytest.mark.parametrize(("generation", "is_reuse"), [(0, True), (1, True), (2, False), (3, False)])
def test_the_window_of_a_generation_begins_when_it_is_superseded(generation, is_reuse):
    """Fails if the window of every generation starts at the newest refresh."""
    grant = refreshed(an_open_grant(), 2_000, 2_010, 2_020, 2_030)
    assert refresh(grant, generation, at=2_070) == (reuse_of(generation, at=2_070) if is_reuse else ())


def test_a_generation_without_an_entry_is_a_reuse():
    grant = refreshed(an_open_grant(), 2_000, 2_000 + MAX_REUSE_WINDOW + 1)
    assert refresh(grant, 0, at=2_400, window=MAX_REUSE_WINDOW) == reuse_of(0, at=2_400)


def test_the_longest_window_lasts_to_its_last_second():
    grant = refreshed(an_open_grant(), 2_000, 2_000 + MAX_REUSE_WINDOW - 1)
    assert refresh(grant, 0, at=2_000 + MAX_REUSE_WINDOW - 1, window=MAX_REUSE_WINDOW) == ()


def test_reuse_for_another_scope_or_resource_is_still_reuse():
    grant = refreshed(an_open_grant(), 2_000)
    assert refresh(grant, 0, at=2_060, asked=ONLY_READ) == reuse_of(0, at=2_060)


def test_reuse_revokes_whether_or_not_the_successor_was_used():
    grant = refreshed(an_open_grant(), 2_000, 2_100)
    assert refresh(grant, 0, at=2_200) == reuse_of(0, at=2_200)


# a clock that was set back


def test_with_a_clock_set_back_a_retry_stays_a_retry():
    assert refresh(refreshed(an_open_grant(), 2_000), 0, at=1_900) == ()


def test_a_clock_set_back_lengthens_no_window():
    grant = refreshed(an_open_grant(), 2_000, 1_900)
    assert refresh(grant, 1, at=2_060) == reuse_of(1, at=2_060)


def test_after_a_clock_was_set_back_all_older_generations_are_retries():
    grant = refreshed(an_open_grant(), 2_000, 1_900, 1_950)
    assert [refresh(grant, generation, at=2_059) for generation in range(3)] == [(), (), ()]


# any generation of a grant that has ended or is another client's: refused, nothing changes

EVERY_GENERATION = pytest.mark.parametrize("generation", [0, 1, 2])


WITHIN_THE_WINDOW_AND_LATER = pytest.mark.parametrize("at", [2_030, 2_060])


@EVERY_GENERATION
@WITHIN_THE_WINDOW_AND_LATER
def test_a_revoked_grant_is_refused(generation, at):
    grant = after(refreshed(an_open_grant(), 2_000), [REVOKED])
    with pytest.raises(GrantIsRevoked):
        refresh(grant, generation, at=at)


@EVERY_GENERATION
@WITHIN_THE_WINDOW_AND_LATER
def test_a_grant_is_refused_in_the_second_of_its_absolute_limit(generation, at):
    grant = refreshed(an_open_grant(expires_at=at), 2_000)
    with pytest.raises(GrantHasExpired):
        refresh(grant, generation, at=at)


def test_a_grant_is_refreshed_in_the_last_second_before_its_absolute_limit():
    assert refresh(refreshed(an_open_grant(expires_at=2_060), 2_000), 1, at=2_059)


@pytest.mark.parametrize("generation", [0, 1])
def test_a_grant_is_refused_when_its_last_refresh_token_expires(generation):
    grant = refreshed(an_open_grant(), 2_000)
    with pytest.raises(GrantHasExpired):
        refresh(grant, generation, at=2_000 + REFRESH_LIFETIME)


def test_a_grant_is_refreshed_in_the_last_second_of_its_refresh_token():
    assert refresh(refreshed(an_open_grant(), 2_000), 1, at=2_000 + REFRESH_LIFETIME - 1)


def test_a_grant_without_refresh_tokens_is_not_refreshed():
    with pytest.raises(RefreshTokenUnknown):
        refresh(an_open_grant(refresh_expires_at=None), 0, at=2_000)


def test_a_generation_that_was_never_issued_is_unknown():
    with pytest.raises(RefreshTokenUnknown):
        refresh(an_open_grant(), 1, at=2_000)


@EVERY_GENERATION
@WITHIN_THE_WINDOW_AND_LATER
@pytest.mark.parametrize("client", [{"client_id": "glc_thief"}, {"client_registration": 2}])
def test_another_client_or_a_later_registration_is_refused(generation, at, client):
    grant = refreshed(an_open_grant(), 2_000)
    with pytest.raises(TokenBelongsToAnotherClient):
        refresh(grant, generation, at=at, **client)


# narrowing


def asking_for(scope: str | None = None, *resources: str) -> Narrowing:
    return Narrowing(scope=scope, resources=resources, known_scopes=KNOWN)


def test_a_refresh_without_scope_gets_all_that_was_consented_to():
    grant = refreshed(an_open_grant(), 2_000, asked=ONLY_READ)
    assert after(grant, refresh(grant, 1, at=3_000, asked=asking_for())).current == CONSENTED


def test_a_narrowed_refresh_gets_the_scopes_in_the_order_of_the_grant():
    grant = an_open_grant()
    events = refresh(grant, 0, at=2_000, asked=asking_for("notes:write  openid", RESOURCE))
    assert after(grant, events).current == Access(RESOURCE, ("openid", "notes:write"))


def test_a_refresh_cannot_ask_for_more():
    with pytest.raises(ScopeWidened):
        refresh(an_open_grant(), 0, at=2_000, asked=asking_for("openid email"))


def test_a_refresh_that_asks_only_for_unknown_scopes_is_refused():
    with pytest.raises(ScopeInvalid):
        refresh(an_open_grant(), 0, at=2_000, asked=asking_for("admin"))


def test_an_unknown_scope_of_a_refresh_is_dropped():
    grant = an_open_grant()
    assert (
        after(grant, refresh(grant, 0, at=2_000, asked=asking_for("admin notes:read"))).current == ONLY_READ
    )


def test_a_refresh_cannot_ask_for_another_resource():
    with pytest.raises(ResourceForeign):
        refresh(an_open_grant(), 0, at=2_000, asked=asking_for(None, "https://mcp.example/notes/mcp"))


def as_a_reader(scope: str | None = None) -> Narrowing:
    """A refresh for a user who lacks the role for `notes:write`."""
    return Narrowing(
        scope=scope,
        resources=(),
        known_scopes=KNOWN - {"notes:write"},
        role_scopes=frozenset({"notes:write"}),
    )


def as_a_writer(scope: str | None = None) -> Narrowing:
    return Narrowing(scope=scope, resources=(), known_scopes=KNOWN, role_scopes=frozenset({"notes:write"}))


def test_a_refresh_drops_scopes_that_the_roles_do_not_allow():
    grant = an_open_grant()
    narrow = after(grant, refresh(grant, 0, at=2_000, asked=as_a_reader()))
    assert narrow.current.scopes == ("openid", "notes:read")
    wide = after(narrow, refresh(narrow, 1, at=2_100, asked=as_a_writer()))
    assert wide.current == CONSENTED


def test_a_refresh_without_any_scope_left_is_refused_and_changes_nothing():
    with pytest.raises(RolesAllowNoScope):
        refresh(
            an_open_grant(),
            0,
            at=2_000,
            asked=Narrowing(scope=None, resources=(), known_scopes=frozenset({"email"})),
        )


@pytest.mark.parametrize(("first", "then"), [(as_a_reader, as_a_writer), (as_a_writer, as_a_reader)])
def test_a_refresh_may_be_retried_although_a_role_was_granted_or_revoked_since(first, then):
    """Fails if parallel refreshes of one client are refused because an operator has changed a role."""
    grant = an_open_grant()
    grant = after(grant, refresh(grant, 0, at=2_000, asked=first()))
    assert refresh(grant, 0, at=2_010, asked=then()) == ()


def test_reuse_is_detected_even_if_the_roles_allow_no_scope():
    grant = refreshed(an_open_grant(), 2_000)
    asked = Narrowing(scope=None, resources=(), known_scopes=frozenset({"email"}))
    assert RefreshTokenReused(generation=0, reused_at=9_000) in refresh(grant, 0, at=9_000, asked=asked)


IMPOSSIBLE = [asking_for("email"), asking_for("admin"), asking_for(None, "https://mcp.example/notes/mcp")]


def refusal_of(grant: TokenGrant, generation: int, asked: Narrowing, *, at: int) -> type[Refusal] | None:
    try:
        refresh(grant, generation, at=at, asked=asked)
    except Refusal as refusal:
        return type(refusal)
    return None


@pytest.mark.parametrize("generation", [0, 1, 2])
@pytest.mark.parametrize(
    ("asked", "refusal"),
    list(zip(IMPOSSIBLE, [ScopeWidened, ScopeInvalid, ResourceForeign], strict=True)),
)
def test_an_invalid_request_is_refused_alike_for_current_and_older_tokens(generation, asked, refusal):
    grant = refreshed(an_open_grant(), 2_000, 2_001)
    assert refusal_of(grant, generation, asked, at=2_010) is refusal


@pytest.mark.parametrize("asked", IMPOSSIBLE)
def test_no_parameter_hides_a_reuse(asked):
    events = refresh(refreshed(an_open_grant(), 2_000), 0, at=2_060, asked=asked)
    assert [type(event) for event in events] == [RefreshTokenReused, GrantRevoked]


@pytest.mark.parametrize("asked", IMPOSSIBLE)
def test_a_revoked_or_expired_grant_is_refused_for_every_request(asked):
    grant = after(an_open_grant(), an_open_grant().revoke("revoked_by_client", now=1_500))
    with pytest.raises(GrantIsRevoked):
        refresh(grant, 0, at=2_000, asked=asked)


def test_a_clock_set_back_reopens_no_window_that_has_ended():
    grant = refreshed(an_open_grant(), 2_000, 2_200)
    events = refresh(grant, 0, at=2_010)
    assert [type(event) for event in events] == [RefreshTokenReused, GrantRevoked]


def test_a_narrowed_refresh_makes_the_newest_token_narrow():
    assert refreshed(an_open_grant(), 2_000, asked=ONLY_READ).current == ONLY_READ


def test_narrowing_does_not_change_what_was_consented_to():
    assert refreshed(an_open_grant(), 2_000, asked=ONLY_READ).consented == CONSENTED


def test_after_a_narrowed_refresh_all_scopes_can_be_requested_again():
    grant = refreshed(refreshed(an_open_grant(), 2_000, asked=ONLY_READ), 3_000, asked=CONSENTED)
    assert grant.current == CONSENTED


def test_a_narrow_access_token_stays_narrow_after_a_wide_refresh():
    narrow = refreshed(an_open_grant(), 2_000, asked=ONLY_READ)
    grant = refreshed(narrow, 3_000, asked=CONSENTED)
    assert access(grant, 1, pair=narrow.pair) == ONLY_READ


def test_a_wide_access_token_stays_wide_after_a_narrow_refresh():
    assert access(refreshed(an_open_grant(), 2_000, asked=ONLY_READ), 0, pair=0) == CONSENTED


def test_the_same_narrowing_twice_is_stored_once():
    grant = refreshed(an_open_grant(), 2_000, 3_000, asked=ONLY_READ)
    assert grant.pairs == (CONSENTED, ONLY_READ)


def a_grant_full_of_narrowings() -> TokenGrant:
    scopes = tuple(f"notes:{n}" for n in range(MAX_PAIRS))
    grant = an_open_grant(scopes=scopes)
    for second, scope in enumerate(scopes[1:], start=2_000):
        grant = refreshed(grant, second, asked=Access(RESOURCE, (scope,)))
    return grant


def test_a_grant_holds_sixteen_sets_of_scopes():
    assert len(a_grant_full_of_narrowings().pairs) == MAX_PAIRS == 16


def test_the_seventeenth_set_of_scopes_is_refused():
    grant = a_grant_full_of_narrowings()
    with pytest.raises(TooManyNarrowings) as refused:
        refresh(grant, grant.generation, at=3_000, asked=Access(RESOURCE, ("notes:0",)))
    assert isinstance(refused.value, ScopeInvalid)


@pytest.mark.parametrize("pair", [0, 1, MAX_PAIRS - 1])
def test_a_grant_with_sixteen_sets_is_still_refreshed_for_each_of_them(pair):
    grant = a_grant_full_of_narrowings()
    assert refresh(grant, grant.generation, at=3_000, asked=grant.pairs[pair])


ASKED = st.builds(
    Narrowing,
    scope=st.none()
    | st.lists(st.sampled_from([*KNOWN, "admin", '"', "x" * 1_025]), max_size=3).map(" ".join),
    resources=st.lists(st.sampled_from([RESOURCE, "https://mcp.example/notes/mcp", "mcp"]), max_size=2).map(
        tuple
    ),
    known_scopes=st.just(KNOWN),
)
HISTORIES = st.lists(st.tuples(st.integers(-5, 70), st.sampled_from([CONSENTED, ONLY_READ])), max_size=6)


@given(st.booleans(), HISTORIES, ASKED, st.integers(0, 70))
def test_an_invalid_request_never_reveals_which_generation_is_current(is_full, history, asked, later):
    """Fails if the older generation is refused before its parameters are checked, as in 6f85f63."""
    grant = a_grant_full_of_narrowings() if is_full else an_open_grant()
    at = 2_020
    for pause, access in history:
        at += pause
        grant = refreshed(grant, at, asked=grant.pairs[-1] if is_full else access)
    at += later
    refusal = refusal_of(grant, grant.generation, asked, at=at)
    assume(refusal is not None)
    for generation in range(grant.generation):
        is_a_retry = refusal_of(grant, generation, asking_for(), at=at) is None
        revokes = is_a_retry and refresh(grant, generation, at=at) != ()
        assert refusal_of(grant, generation, asked, at=at) is (None if revokes else refusal)


# retries from another network

HOME, ELSEWHERE = "digest-of-home", "digest-of-elsewhere"


def retry_from(grant: TokenGrant, generation: int, *networks: str) -> tuple[Event, ...]:
    return refresh(grant, generation, at=2_050, networks=networks)


def refreshed_from(grant: TokenGrant, *networks: str) -> TokenGrant:
    for second, network in enumerate(networks, start=2_000):
        grant = after(grant, refresh(grant, grant.generation, at=second, networks=(network,)))
    return grant


def test_a_retry_from_another_network_is_recorded():
    grant = refreshed_from(an_open_grant(), HOME)
    assert retry_from(grant, 0, ELSEWHERE) == (RefreshRetriedElsewhere(generation=0, retried_at=2_050),)


def test_a_retry_from_the_network_of_the_refresh_is_not_recorded():
    assert retry_from(refreshed_from(an_open_grant(), HOME), 0, HOME) == ()


def test_a_retry_from_the_same_network_under_a_newer_master_secret_is_not_recorded():
    assert retry_from(refreshed_from(an_open_grant(), HOME), 0, "newer-digest-of-home", HOME) == ()


def test_each_generation_is_compared_with_the_refresh_that_superseded_it():
    grant = refreshed_from(an_open_grant(), HOME, ELSEWHERE, HOME)
    assert [bool(retry_from(grant, generation, ELSEWHERE)) for generation in range(3)] == [True, False, True]


def test_a_retry_from_another_network_is_recorded_once_for_each_generation():
    grant = refreshed_from(an_open_grant(), HOME, HOME)
    grant = after(grant, retry_from(grant, 0, ELSEWHERE))
    assert [len(retry_from(grant, generation, ELSEWHERE)) for generation in range(2)] == [0, 1]


@pytest.mark.parametrize(("before", "now"), [((), (HOME,)), ((HOME,), ())])
def test_a_retry_is_not_recorded_if_either_network_is_unknown(before, now):
    grant = after(an_open_grant(), refresh(an_open_grant(), 0, at=2_000, networks=before))
    assert retry_from(grant, 0, *now) == ()


def test_a_retry_from_another_network_gets_the_current_tokens():
    grant = refreshed_from(an_open_grant(), HOME)
    after_the_retry = after(grant, retry_from(grant, 0, ELSEWHERE))
    assert (after_the_retry.generation, after_the_retry.revoked) == (1, None)


def test_a_network_is_stored_only_if_it_differs_from_the_previous_one():
    grant = refreshed_from(an_open_grant(), HOME)
    (same,), (other,) = (refresh(grant, 1, at=2_010, networks=(network,)) for network in (HOME, ELSEWHERE))
    assert isinstance(same, GrantRefreshed)
    assert isinstance(other, GrantRefreshed)
    assert (same.network, other.network) == (None, ELSEWHERE)


def test_a_network_that_becomes_unknown_is_stored_as_unknown():
    grant = refreshed_from(an_open_grant(), HOME)
    assert retry_from(after(grant, refresh(grant, 1, at=2_010)), 1, ELSEWHERE) == ()


def test_entries_that_no_window_needs_any_more_are_dropped():
    grant = refreshed_from(an_open_grant(), HOME, ELSEWHERE)
    grant = after(grant, retry_from(grant, 0, ELSEWHERE))
    grant = refreshed(grant, 2_001 + MAX_REUSE_WINDOW + 1)
    assert (len(grant.networks), grant.retried_elsewhere) == (1, ())


def test_a_grant_keeps_a_bounded_number_of_networks_and_retries():
    grant = refreshed_from(an_open_grant(), *[HOME, ELSEWHERE] * MAX_NETWORKS)
    for generation in range(grant.generation):
        grant = after(grant, retry_from(grant, generation, "a-third-network"))
    assert (len(grant.networks), len(grant.retried_elsewhere)) == (MAX_NETWORKS, MAX_NETWORKS)


# access tokens


def test_an_access_token_gives_access_to_what_was_consented_to():
    assert access(an_open_grant()) == CONSENTED


def test_an_older_access_token_is_valid_until_its_own_expiry():
    grant = refreshed(an_open_grant(), 2_000, 3_000)
    assert access(grant, 0, expires_at=4_600, now=4_599) == CONSENTED


def test_an_access_token_is_refused_in_the_second_of_its_expiry():
    with pytest.raises(AccessTokenHasEnded):
        access(an_open_grant(), expires_at=4_600, now=4_600)


def test_an_access_token_of_a_revoked_grant_is_refused():
    with pytest.raises(GrantIsRevoked):
        access(after(an_open_grant(), [REVOKED]))


def test_an_access_token_is_refused_in_the_second_of_the_absolute_limit():
    with pytest.raises(GrantHasExpired):
        access(an_open_grant(expires_at=2_000), now=2_000)


def test_an_access_token_is_valid_just_before_the_absolute_limit():
    assert access(an_open_grant(expires_at=2_000), now=1_999) == CONSENTED


@pytest.mark.parametrize(("generation", "pair"), [(1, 0), (0, 1)])
def test_an_access_token_of_an_unknown_generation_or_pair_is_refused(generation, pair):
    with pytest.raises(AccessTokenHasEnded):
        access(an_open_grant(), generation, pair=pair)


def test_revoking_an_access_token_records_generation_and_time():
    grant = refreshed(an_open_grant(), 2_000)
    assert grant.revoke_access(generation=1, now=2_100) == (
        AccessTokensRevoked(through_generation=1, revoked_at=2_100),
    )


@pytest.mark.parametrize("generation", [0, 1])
def test_a_revoked_access_token_and_every_older_one_is_refused(generation):
    grant = refreshed(an_open_grant(), 2_000, 3_000)
    grant = after(grant, grant.revoke_access(generation=1, now=3_100))
    with pytest.raises(AccessTokenHasEnded):
        access(grant, generation)


def test_revoking_an_older_access_token_keeps_a_newer_one():
    grant = refreshed(an_open_grant(), 2_000, 3_000)
    assert access(after(grant, grant.revoke_access(generation=1, now=3_100)), 2) == CONSENTED


@pytest.mark.parametrize("generation", [0, 1])
def test_revoking_a_revoked_access_token_records_nothing(generation):
    grant = refreshed(an_open_grant(), 2_000, 3_000)
    grant = after(grant, grant.revoke_access(generation=1, now=3_100))
    assert grant.revoke_access(generation=generation, now=3_200) == ()


def test_revoking_an_access_token_of_a_revoked_grant_records_nothing():
    assert after(an_open_grant(), [REVOKED]).revoke_access(generation=0, now=3_200) == ()


def test_revoking_an_access_token_keeps_the_refresh_token():
    grant = after(an_open_grant(), an_open_grant().revoke_access(generation=0, now=1_100))
    assert access(refreshed(grant, 1_200), 1) == CONSENTED


# revocation


def test_revoking_a_grant_records_reason_and_time():
    assert an_open_grant().revoke("code_replayed", now=1_100) == (
        GrantRevoked(reason="code_replayed", revoked_at=1_100),
    )


def test_revoking_twice_records_one_event():
    assert after(an_open_grant(), [REVOKED]).revoke("code_replayed", now=1_100) == ()


def test_the_reuse_event_alone_does_not_change_the_state():
    grant = an_open_grant()
    assert after(grant, [RefreshTokenReused(generation=0, reused_at=1_100)]) == grant


def test_a_refresh_with_a_fast_clock_lengthens_no_later_access_token():
    grant = refreshed(an_open_grant(), 90_000)
    (event,) = refresh(grant, 1, at=2_100)
    assert isinstance(event, GrantRefreshed)
    assert event.access_expires_at == 2_100 + ACCESS_LIFETIME


def test_revoking_an_unknown_generation_records_nothing():
    assert an_open_grant().revoke_access(generation=7, now=2_000) == ()
