import asyncio

import pytest
from msgspec.structs import replace

from grantledger.application.ports import Unavailable
from grantledger.application.provenance import Caller, by_client
from grantledger.domain.client_registration import (
    ClientAuthenticationFailed,
    ClientIsDisabled,
    ClientUnknown,
)
from grantledger.domain.resource_indicator import ResourceForeign
from grantledger.domain.scope import ScopeWidened
from grantledger.domain.token_grant import (
    GRANT,
    MAX_PAIRS,
    GrantHasExpired,
    GrantIsRevoked,
    GrantRefreshed,
    GrantRevoked,
    RefreshRetriedElsewhere,
    RefreshTokenAlreadyUsed,
    RefreshTokenReused,
    RefreshTokenUnknown,
    RetryAsksForSomethingElse,
    TokenBelongsToAnotherClient,
    TooManyNarrowings,
)
from grantledger.domain.user_account import UserIsDisabled
from support.policies import a_policy
from support.requests import MCP, NOTES
from support.storage import InterleavingLedger, InterruptedLedger, nothing_recorded
from support.story import CALLER, Story

WINDOW = 60
WEEK = 604_800


@pytest.fixture
async def notes(story, client, ada):
    """The first tokens of a grant for `openid notes:read notes:write`."""
    return await story.tokens(client, ada, scope="openid notes:read notes:write", resources=(NOTES,))


# the current refresh token: the next generation


async def test_the_current_refresh_token_gives_new_tokens(story, client, tokens):
    next_ = await story.refreshes(client, tokens)
    assert next_.access_token != tokens.access_token
    assert next_.refresh_token not in (None, tokens.refresh_token)


async def test_a_refresh_is_one_event(ledger, story, client, tokens):
    before = len(ledger.log)
    await story.refreshes(client, tokens)
    assert [type(event) for event in ledger.events[before:]] == [GrantRefreshed]


async def test_a_refresh_of_a_grant_with_a_long_history_is_one_event(ledger, story, client, tokens):
    for _ in range(30):
        story.clock.advance(100)
        tokens = await story.refreshes(client, tokens)
    assert [type(event) for event in ledger.events[-30:]] == [GrantRefreshed] * 30


async def test_a_refresh_is_recorded_as_the_clients_act(ledger, story, client, tokens):
    await story.refreshes(client, tokens)
    assert ledger.log[-1].by == by_client(client.client_id, CALLER)


async def test_the_new_access_token_is_for_the_same_user(story, client, ada, tokens):
    session = await story.looks_up(await story.refreshes(client, tokens))
    assert session.user_id == ada.user_id


async def test_the_older_access_token_is_valid_until_its_own_expiry(story, client, tokens):
    story.clock.advance(100)
    await story.refreshes(client, tokens)
    story.clock.advance(3_499)
    assert await story.looks_up(tokens)


async def test_a_refresh_token_is_valid_for_a_week_after_the_last_refresh(story, client, tokens):
    story.clock.advance(WEEK - 1)
    tokens = await story.refreshes(client, tokens)
    story.clock.advance(WEEK - 1)
    assert await story.refreshes(client, tokens)


async def test_a_refresh_token_is_refused_in_the_second_its_week_ends(ledger, story, client, tokens):
    story.clock.advance(WEEK)
    with nothing_recorded(ledger), pytest.raises(GrantHasExpired):
        await story.refreshes(client, tokens)


async def test_a_confidential_client_refreshes_with_its_secret(story, ada):
    new = await story.registers(token_endpoint_auth_method="client_secret_basic")
    tokens = await story.redeems(new.client, await story.code(new.client, ada), secret=new.secret)
    assert await story.refreshes(new.client, tokens, secret=new.secret)


async def test_a_grant_is_not_refreshed_from_its_absolute_limit_on(ledger, story, client, code):
    story = Story(ledger, a_policy(grant_lifetime=100), story.outside)
    tokens = await story.redeems(client, code)
    story.clock.advance(99)
    tokens = await story.refreshes(client, tokens)
    assert tokens.expires_in == 1
    story.clock.advance(1)
    with nothing_recorded(ledger), pytest.raises(GrantHasExpired):
        await story.refreshes(client, tokens)


# an older one within the window: the current pair


@pytest.mark.parametrize("later", [0, 1, WINDOW - 1])
async def test_a_retry_gets_the_same_tokens(story, client, tokens, later):
    """Fails if tokens depend on the clock."""
    first = await story.refreshes(client, tokens)
    story.clock.advance(later)
    again = await story.refreshes(client, tokens)
    assert (again.access_token, again.refresh_token) == (first.access_token, first.refresh_token)


async def test_a_retry_gets_the_remaining_lifetime(story, client, tokens):
    await story.refreshes(client, tokens)
    story.clock.advance(45)
    assert (await story.refreshes(client, tokens)).expires_in == 3_600 - 45


async def test_the_remaining_lifetime_is_never_negative(ledger, story, client, tokens):
    story = Story(ledger, a_policy(access_token_lifetime=10), story.outside)
    await story.refreshes(client, tokens)
    story.clock.advance(30)
    assert (await story.refreshes(client, tokens)).expires_in == 0


async def test_a_retry_records_nothing(ledger, story, client, tokens):
    await story.refreshes(client, tokens)
    with nothing_recorded(ledger):
        await story.refreshes(client, tokens)


@pytest.mark.parametrize("generations_ago", [1, 2, 3])
async def test_a_retry_of_any_recent_generation_gets_the_current_tokens(
    story, client, tokens, generations_ago
):
    chain = [tokens]
    for _ in range(3):
        story.clock.advance(10)
        chain.append(await story.refreshes(client, chain[-1]))
    again = await story.refreshes(client, chain[-1 - generations_ago])
    assert again == chain[-1]


async def test_a_retry_after_a_change_of_settings_gets_the_same_tokens(ledger, story, client, tokens):
    first = await story.refreshes(client, tokens)
    settings = a_policy(access_token_lifetime=60, refresh_token_lifetime=90, grant_lifetime=100)
    assert await Story(ledger, settings, story.outside).refreshes(client, tokens) == first


async def test_a_retry_under_a_newer_master_secret_gets_the_same_tokens(story, client, tokens):
    first = await story.refreshes(client, tokens)
    story.sealer.key_id = "key-2"
    assert await story.refreshes(client, tokens) == first


async def test_the_next_refresh_is_sealed_under_the_newer_master_secret(story, client, tokens):
    story.sealer.key_id = "key-2"
    sealed = story.sealer.read((await story.refreshes(client, tokens)).access_token)
    assert sealed.claims.key_id == "key-2"


async def test_with_a_clock_set_back_a_retry_stays_a_retry(story, client, tokens):
    first = await story.refreshes(client, tokens)
    story.clock.advance(-30)
    again = await story.refreshes(client, tokens)
    assert (again.access_token, again.refresh_token) == (first.access_token, first.refresh_token)


# an older one within the window, for something else: refused, nothing revoked


async def test_a_retry_for_another_scope_is_refused(ledger, story, client, notes):
    await story.refreshes(client, notes)
    with nothing_recorded(ledger), pytest.raises(RetryAsksForSomethingElse):
        await story.refreshes(client, notes, scope="notes:read")


async def test_a_retry_for_all_scopes_after_a_narrowed_refresh_is_refused(ledger, story, client, notes):
    await story.refreshes(client, notes, scope="notes:read")
    with nothing_recorded(ledger), pytest.raises(RetryAsksForSomethingElse):
        await story.refreshes(client, notes)


async def test_a_retry_for_another_resource_is_refused_like_a_refresh(ledger, story, client, notes):
    await story.refreshes(client, notes)
    with nothing_recorded(ledger), pytest.raises(ResourceForeign):
        await story.refreshes(client, notes, resources=(MCP,))


async def test_a_retry_may_spell_scope_and_resource_differently(story, client, notes):
    first = await story.refreshes(client, notes)
    other_words = "HTTPS://MCP.example:443/notes/mcp"
    again = await story.refreshes(
        client, notes, scope="notes:write  openid notes:read", resources=(other_words,)
    )
    assert again == first


# a retry from another network

HOME = Caller(correlation_id="request", address="203.0.113.7")
ELSEWHERE = Caller(correlation_id="request", address="198.51.100.9")


async def test_a_retry_from_another_network_is_recorded_once(ledger, story, client, tokens):
    await story.refreshes(client, tokens, caller=HOME)
    before = len(ledger.log)
    for _ in range(2):
        await story.refreshes(client, tokens, caller=ELSEWHERE)
    assert ledger.events[before:] == [RefreshRetriedElsewhere(generation=0, retried_at=story.clock.now())]


async def test_a_retry_from_another_network_gets_the_same_tokens(story, client, tokens):
    first = await story.refreshes(client, tokens, caller=HOME)
    again = await story.refreshes(client, tokens, caller=ELSEWHERE)
    assert (again.access_token, again.refresh_token) == (first.access_token, first.refresh_token)


async def test_the_answer_says_that_a_retry_from_another_network_was_recorded(story, client, tokens):
    callers = [HOME, HOME, ELSEWHERE, ELSEWHERE]
    answers = [await story.refreshes(client, tokens, caller=caller) for caller in callers]
    assert [answer.retried_elsewhere for answer in answers] == [False, False, True, False]


# an older one after the window, or without one: reuse is recorded, and that one grant is revoked


async def test_reuse_in_the_second_the_window_ends_is_refused(story, client, tokens):
    """Fails if the window ends a second late."""
    await story.refreshes(client, tokens)
    story.clock.advance(WINDOW)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await story.refreshes(client, tokens)


async def test_reuse_is_recorded_and_revokes_the_grant(ledger, story, client, tokens):
    """Fails if reuse is not recorded."""
    await story.refreshes(client, tokens)
    story.clock.advance(WINDOW)
    before = len(ledger.log)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await story.refreshes(client, tokens)
    now = story.clock.now()
    assert ledger.events[before:] == [
        RefreshTokenReused(generation=0, reused_at=now),
        GrantRevoked(reason="refresh_token_reused", revoked_at=now),
    ]


async def test_without_a_window_the_first_retry_is_reuse(ledger, story, client, tokens):
    story = Story(ledger, a_policy(refresh_reuse_window=0), story.outside)
    await story.refreshes(client, tokens)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await story.refreshes(client, tokens)


@pytest.mark.parametrize("successor_is_used", [False, True])
async def test_reuse_ends_every_token_of_the_grant(story, client, tokens, successor_is_used):
    newest = await story.refreshes(client, tokens)
    if successor_is_used:
        newest = await story.refreshes(client, newest)
    story.clock.advance(WINDOW)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await story.refreshes(client, tokens)
    for end in (story.looks_up(tokens), story.looks_up(newest), story.refreshes(client, newest)):
        with pytest.raises(GrantIsRevoked):
            await end


async def test_reuse_revokes_no_other_grant(story, client, ada, tokens):
    other_device = await story.tokens(client, ada)
    await story.refreshes(client, tokens)
    story.clock.advance(WINDOW)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await story.refreshes(client, tokens)
    assert await story.looks_up(await story.refreshes(client, other_device))


async def test_a_second_reuse_records_nothing(ledger, story, client, tokens):
    await story.refreshes(client, tokens)
    story.clock.advance(WINDOW)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await story.refreshes(client, tokens)
    with nothing_recorded(ledger), pytest.raises(GrantIsRevoked):
        await story.refreshes(client, tokens)


# any token, when something else is wrong: refused, and nothing changes; a retry gets every check of a refresh


@pytest.fixture(params=["current", "retry", "reuse"])
async def presented(request, story, client, tokens):
    """Tokens whose refresh token is the current one, or an older one within the window or after it."""
    if request.param == "current":
        return tokens
    await story.refreshes(client, tokens)
    if request.param == "reuse":
        story.clock.advance(WINDOW)
    return tokens


async def test_refuses_a_revoked_grant(ledger, story, client, presented):
    await story.revokes(client, presented.refresh_token)
    with nothing_recorded(ledger), pytest.raises(GrantIsRevoked):
        await story.refreshes(client, presented)


async def test_refuses_a_disabled_client(ledger, story, client, presented):
    await story.disable_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientIsDisabled):
        await story.refreshes(client, presented)


async def test_refuses_a_disabled_user(ledger, story, client, ada, presented):
    await story.disable_user(ada.user_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(UserIsDisabled):
        await story.refreshes(client, presented)


async def test_a_deleted_client_is_unknown(ledger, story, client, presented):
    await story.delete_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.refreshes(client, presented)


async def test_a_client_cannot_refresh_a_grant_of_its_earlier_registration(ledger, story, client, presented):
    await story.delete_client(client.client_id, CALLER)
    again = (await story.registers()).client
    assert again.client_id == client.client_id
    with nothing_recorded(ledger), pytest.raises(TokenBelongsToAnotherClient):
        await story.refreshes(again, presented)


async def test_refuses_another_client(ledger, story, client, presented):
    thief = (await story.registers(client_name="Thief")).client
    with nothing_recorded(ledger), pytest.raises(TokenBelongsToAnotherClient):
        await story.refreshes(thief, presented)


async def test_refuses_a_grant_whose_last_refresh_token_has_expired(ledger, story, client, presented):
    story.clock.advance(WEEK)
    with nothing_recorded(ledger), pytest.raises(GrantHasExpired):
        await story.refreshes(client, presented)


async def test_an_outage_is_not_a_refusal_of_the_token(ledger, story, client, presented):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await story.refreshes(client, presented)


async def test_the_client_is_authenticated_before_the_token_is_checked(ledger, story, ada):
    new = await story.registers(token_endpoint_auth_method="client_secret_basic")
    tokens = await story.redeems(new.client, await story.code(new.client, ada), secret=new.secret)
    with nothing_recorded(ledger), pytest.raises(ClientAuthenticationFailed):
        await story.refreshes(new.client, tokens)


# what is not a refresh token of this server


async def refreshes_with(story, client, tokens, refresh_token):
    return await story.refreshes(client, replace(tokens, refresh_token=refresh_token))


async def test_refuses_a_malformed_token(ledger, story, client, tokens):
    with nothing_recorded(ledger), pytest.raises(RefreshTokenUnknown):
        await refreshes_with(story, client, tokens, "glrt_guessed")


async def test_refuses_an_access_token(story, client, tokens):
    with pytest.raises(RefreshTokenUnknown):
        await refreshes_with(story, client, tokens, tokens.access_token)


async def test_refuses_a_token_with_another_seal(story, client, tokens):
    with pytest.raises(RefreshTokenUnknown):
        await refreshes_with(story, client, tokens, tokens.refresh_token + "x")


async def test_refuses_a_token_of_a_grant_whose_row_was_deleted(ledger, story, client, tokens):
    session = await story.looks_up(tokens)
    ledger.forget(GRANT, session.grant_id)
    with nothing_recorded(ledger), pytest.raises(RefreshTokenUnknown):
        await story.refreshes(client, tokens)


async def test_refuses_a_token_of_an_unknown_grant(story, client, tokens):
    grant_id = story.sealer.read(tokens.refresh_token).claims.grant_id
    with pytest.raises(RefreshTokenUnknown):
        await refreshes_with(story, client, tokens, tokens.refresh_token.replace(grant_id, "no-such-grant"))


async def test_refuses_a_refresh_token_of_a_grant_that_has_none(story, ada):
    plain = (await story.registers(grant_types=("authorization_code",))).client
    tokens = await story.tokens(plain, ada)
    sealed = story.sealer.read(tokens.access_token)
    forged = story.sealer.refresh_token(sealed.claims, sealed.nonce)
    with pytest.raises(RefreshTokenUnknown):
        await refreshes_with(story, plain, tokens, forged)


# narrowing


async def test_a_refresh_may_ask_for_less(story, client, notes):
    assert (await story.refreshes(client, notes, scope="notes:read")).scopes == ("notes:read",)


async def test_a_narrowed_access_token_is_narrow(story, client, notes):
    narrow = await story.refreshes(client, notes, scope="notes:read")
    assert (await story.looks_up(narrow)).scopes == ("notes:read",)


async def test_a_narrow_access_token_stays_narrow_after_a_wide_refresh(story, client, notes):
    narrow = await story.refreshes(client, notes, scope="notes:read")
    await story.refreshes(client, narrow)
    assert (await story.looks_up(narrow)).scopes == ("notes:read",)


async def test_after_a_narrowed_refresh_all_scopes_can_be_requested_again(story, client, notes):
    narrow = await story.refreshes(client, notes, scope="notes:read")
    assert (await story.refreshes(client, narrow)).scopes == notes.scopes


async def test_a_refresh_cannot_widen(ledger, story, client, notes):
    with nothing_recorded(ledger), pytest.raises(ScopeWidened):
        await story.refreshes(client, notes, scope="notes:read email")


async def test_a_refresh_for_another_resource_consumes_nothing(ledger, story, client, notes):
    with nothing_recorded(ledger), pytest.raises(ResourceForeign):
        await story.refreshes(client, notes, resources=(MCP,))
    assert await story.refreshes(client, notes)


async def test_the_seventeenth_set_of_scopes_is_refused(ledger, story, client, ada):
    wide = "openid profile email offline_access files:read"
    tokens = await story.tokens(client, ada, scope=wide)
    scopes = wide.split()
    narrowings = [" ".join(scopes[i:j]) for i in range(5) for j in range(i + 1, 6)]
    narrowings = [n for n in narrowings if n != wide] + ["openid email", "openid files:read"]
    for narrowing in narrowings[: MAX_PAIRS - 1]:
        tokens = await story.refreshes(client, tokens, scope=narrowing)
    with nothing_recorded(ledger), pytest.raises(TooManyNarrowings):
        await story.refreshes(client, tokens, scope=narrowings[MAX_PAIRS - 1])
    assert await story.refreshes(client, tokens)


# many at once


@pytest.fixture
def racing(ledger, story):
    """The same server over a ledger in which parallel requests conflict."""
    return Story(InterleavingLedger(ledger), outside=story.outside)


async def test_twenty_parallel_refreshes_get_the_same_tokens(racing, client, tokens):
    answers = await asyncio.gather(*(racing.refreshes(client, tokens) for _ in range(20)))
    assert len({(answer.access_token, answer.refresh_token) for answer in answers}) == 1


async def test_twenty_parallel_refreshes_are_one_event(ledger, racing, client, tokens):
    before = len(ledger.log)
    await asyncio.gather(*(racing.refreshes(client, tokens) for _ in range(20)))
    assert [type(event) for event in ledger.events[before:]] == [GrantRefreshed]


async def test_twenty_parallel_refreshes_do_conflict(racing, client, tokens):
    await asyncio.gather(*(racing.refreshes(client, tokens) for _ in range(20)))
    assert racing.ledger.conflicts == 19


async def test_of_parallel_refreshes_with_two_scopes_only_one_scope_succeeds(racing, client, notes):
    scopes = ["notes:read", "notes:write"] * 10
    answers = await asyncio.gather(
        *(racing.refreshes(client, notes, scope=scope) for scope in scopes), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, RetryAsksForSomethingElse)]
    answered = {answer.access_token for answer in answers if not isinstance(answer, BaseException)}
    assert (len(answered), len(refused)) == (1, 10)


async def test_twenty_parallel_reuses_are_recorded_once(ledger, racing, client, tokens):
    await racing.refreshes(client, tokens)
    racing.clock.advance(WINDOW)
    before = len(ledger.log)
    answers = await asyncio.gather(
        *(racing.refreshes(client, tokens) for _ in range(20)), return_exceptions=True
    )
    assert all(isinstance(answer, RefreshTokenAlreadyUsed | GrantIsRevoked) for answer in answers)
    assert [type(event) for event in ledger.events[before:]] == [RefreshTokenReused, GrantRevoked]


async def test_a_parallel_refresh_does_not_keep_a_reused_grant_alive(racing, client, tokens):
    newest = await racing.refreshes(client, tokens)
    racing.clock.advance(WINDOW)
    await asyncio.gather(
        racing.refreshes(client, newest), racing.refreshes(client, tokens), return_exceptions=True
    )
    with pytest.raises(GrantIsRevoked):
        await racing.looks_up(newest)


async def test_disabling_the_user_during_a_refresh_refuses_it(ledger, story, client, ada, tokens):
    racing = Story(
        InterruptedLedger(ledger, lambda: story.disable_user(ada.user_id, CALLER)), outside=story.outside
    )
    with pytest.raises(UserIsDisabled):
        await racing.refreshes(client, tokens)
