import asyncio
import re
from typing import Any, NamedTuple

import pytest

from grantledger.application.ports import Unavailable
from grantledger.application.provenance import by_client, by_user
from grantledger.domain.authorization_code import (
    CODE,
    CodeAlreadyRedeemed,
    CodeBelongsToAnotherClient,
    CodeExpired,
    CodeRedeemed,
    CodeRedirectUriMismatch,
    CodeReplayed,
    CodeUnknown,
    ConsentWithdrawnSince,
)
from grantledger.domain.client_registration import (
    ClientAuthenticationFailed,
    ClientIsDisabled,
    ClientUnknown,
)
from grantledger.domain.consent import CONSENT, consent_key
from grantledger.domain.digests import digest
from grantledger.domain.pkce import CodeVerifierMismatch, CodeVerifierMissing
from grantledger.domain.refusal import Refusal
from grantledger.domain.resource_indicator import ResourceForeign
from grantledger.domain.token_grant import GrantIsRevoked, GrantOpened, GrantRefreshed, GrantRevoked
from grantledger.domain.user_account import UserIsDisabled
from support.clients import LOOPBACK
from support.codes import ANOTHER_VERIFIER
from support.policies import POLICY, a_policy
from support.requests import MCP, NOTES
from support.storage import InterleavingLedger, InterruptedLedger, nothing_recorded
from support.story import CALLER, Story


class Mistake(NamedTuple):
    """A request with the right client and one fault, and the refusal of it."""

    request: dict[str, Any]
    refusal: type[Refusal]


MISTAKES = {
    "another verifier": Mistake({"code_verifier": ANOTHER_VERIFIER}, CodeVerifierMismatch),
    "no verifier": Mistake({"code_verifier": None}, CodeVerifierMissing),
    "another redirect URI": Mistake({"redirect_uri": "https://thief.example/"}, CodeRedirectUriMismatch),
    "another resource": Mistake({"resources": (NOTES,)}, ResourceForeign),
}
wrong = pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)


def recorded(ledger, event):
    return [happened for happened in ledger.events if isinstance(happened, event)]


# the first time


async def test_a_code_opens_a_grant_with_what_was_consented_to(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid notes:read", resources=(NOTES,))
    assert (tokens.scopes, tokens.resource) == (("openid", "notes:read"), NOTES)


async def test_the_access_token_is_for_the_user_who_consented(story, tokens, client, ada):
    session = await story.looks_up(tokens)
    assert (session.user_id, session.client_id) == (ada.user_id, client.client_id)


async def test_the_access_token_expires_after_expires_in(story, client, code):
    tokens = await story.redeems(client, code)
    assert tokens.expires_in == 3_600


async def test_redemption_and_grant_are_recorded_together(ledger, story, client, code):
    before = len(ledger.log)
    await story.redeems(client, code)
    assert [type(event) for event in ledger.events[before:]] == [CodeRedeemed, GrantOpened]


async def test_a_redemption_is_recorded_as_the_clients_act(ledger, client, tokens):
    assert ledger.log[-1].by == by_client(client.client_id, CALLER)


async def test_a_grant_names_the_transaction_of_its_code(ledger, code, tokens):
    (opened,) = recorded(ledger, GrantOpened)
    assert code.startswith(f"glac_{opened.code_key}")
    assert code not in repr(ledger.log)


async def test_a_client_registered_for_refresh_tokens_gets_one(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid")
    assert tokens.refresh_token is not None


async def test_a_client_not_registered_for_refresh_tokens_gets_none(story, ada):
    plain = (await story.registers(grant_types=("authorization_code",))).client
    tokens = await story.tokens(plain, ada, scope="openid offline_access")
    assert tokens.refresh_token is None


async def test_a_confidential_client_redeems_with_its_secret(story, ada):
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    code = await story.code(new.client, ada)
    assert (await story.redeems(new.client, code, secret=new.secret)).access_token


async def test_the_absolute_limit_of_a_grant_bounds_its_first_tokens(ledger, ada, client, code, story):
    restarted = Story(ledger, a_policy(grant_lifetime=100), story.outside)
    tokens = await restarted.redeems(client, code)
    assert tokens.expires_in == 100


async def test_the_opening_event_holds_the_absolute_limit(ledger, client, code, story):
    await Story(ledger, a_policy(grant_lifetime=100), story.outside).redeems(client, code)
    (opened,) = recorded(ledger, GrantOpened)
    assert opened.expires_at == story.clock.now() + 100


async def test_redeems_in_the_last_second_of_the_code(story, client, code):
    story.clock.advance(599)
    assert await story.redeems(client, code)


async def test_a_native_client_redeems_with_the_port_of_its_request(story, ada):
    native = (await story.registers(redirect_uris=(LOOPBACK,))).client
    today = "http://127.0.0.1:51004/callback"
    code = await story.code(native, ada, redirect_uri=today)
    assert await story.redeems(native, code, redirect_uri=today)


async def test_a_native_client_cannot_redeem_with_its_registered_port(story, ada):
    native = (await story.registers(redirect_uris=(LOOPBACK,))).client
    code = await story.code(native, ada, redirect_uri="http://127.0.0.1:51004/callback")
    with pytest.raises(CodeRedirectUriMismatch):
        await story.redeems(native, code, redirect_uri=LOOPBACK)


# refusals consume nothing


async def test_refuses_a_code_in_the_second_of_its_expiry(ledger, story, client, code):
    story.clock.advance(600)
    with nothing_recorded(ledger), pytest.raises(CodeExpired):
        await story.redeems(client, code)


async def test_refuses_an_unknown_code(ledger, story, client):
    with nothing_recorded(ledger), pytest.raises(CodeUnknown):
        await story.redeems(client, "glac_guessed")


async def test_refuses_the_digest_of_a_code(story, client, code):
    with pytest.raises(CodeUnknown):
        await story.redeems(client, digest(code))


@wrong
async def test_a_code_is_not_redeemed_with(ledger, story, client, code, mistake):
    with nothing_recorded(ledger), pytest.raises(mistake.refusal):
        await story.redeems(client, code, **mistake.request)


@wrong
async def test_a_code_can_still_be_redeemed_after(story, client, code, mistake):
    with pytest.raises(mistake.refusal):
        await story.redeems(client, code, **mistake.request)
    assert await story.redeems(client, code)


async def test_another_client_can_neither_redeem_nor_consume_a_code(story, client, code):
    thief = (await story.registers(client_name="Thief")).client
    with pytest.raises(CodeBelongsToAnotherClient):
        await story.redeems(thief, code)
    assert await story.redeems(client, code)


async def test_the_client_is_authenticated_before_the_code_is_checked(story, ada):
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    with pytest.raises(ClientAuthenticationFailed):
        await story.redeems(new.client, "glac_guessed", secret="glcs_guessed")


async def test_a_wrong_client_secret_does_not_consume_the_code(ledger, story, ada):
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    code = await story.code(new.client, ada)
    with nothing_recorded(ledger), pytest.raises(ClientAuthenticationFailed):
        await story.redeems(new.client, code, secret="glcs_guessed")
    assert await story.redeems(new.client, code, secret=new.secret)


async def test_a_disabled_client_cannot_redeem(ledger, story, client, code):
    await story.disable_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientIsDisabled):
        await story.redeems(client, code)


async def test_a_deleted_client_cannot_redeem(ledger, story, client, code):
    await story.delete_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.redeems(client, code)


async def test_a_client_cannot_redeem_a_code_of_its_earlier_registration(ledger, story, client, code):
    await story.delete_client(client.client_id, CALLER)
    again = (await story.registers()).client
    with nothing_recorded(ledger), pytest.raises(CodeBelongsToAnotherClient):
        await story.redeems(again, code)


async def test_a_code_of_a_disabled_user_is_refused(ledger, story, client, ada, code):
    await story.disable_user(ada.user_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(UserIsDisabled):
        await story.redeems(client, code)


async def test_an_outage_is_not_a_refusal_of_the_code(ledger, story, client, code):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await story.redeems(client, code)


# the second time


async def test_a_second_redemption_is_refused(story, client, code, tokens):
    with pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(client, code)


async def test_a_second_redemption_is_recorded_and_revokes_the_first_grant(
    ledger, story, client, code, tokens
):
    grant_id = (await story.looks_up(tokens)).grant_id
    before = len(ledger.log)
    with pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(client, code)
    now = story.clock.now()
    assert ledger.events[before:] == [
        CodeReplayed(grant_id=grant_id, replayed_at=now),
        GrantRevoked(reason="code_replayed", revoked_at=now),
    ]


async def test_a_second_redemption_ends_the_access_token_of_the_first(story, client, code, tokens):
    with pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(client, code)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)


async def test_a_second_redemption_ends_the_refresh_token_of_the_first(story, client, code, tokens):
    with pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(client, code)
    with pytest.raises(GrantIsRevoked):
        await story.refreshes(client, tokens)


async def test_a_second_redemption_revokes_no_other_grant(story, client, ada, code, tokens):
    other = await story.tokens(client, ada)
    with pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(client, code)
    assert await story.looks_up(other)


async def test_a_second_redemption_after_the_expiry_is_refused_as_expired(
    ledger, story, client, code, tokens
):
    story.clock.advance(POLICY.code_lifetime)
    with nothing_recorded(ledger), pytest.raises(CodeExpired):
        await story.redeems(client, code)
    assert await story.looks_up(tokens)


async def test_a_code_whose_row_was_deleted_is_unknown(ledger, story, client, code):
    ledger.forget(CODE, story.outside.codes.transaction_of(code))
    with nothing_recorded(ledger), pytest.raises(CodeUnknown):
        await story.redeems(client, code)


async def test_a_second_redemption_is_recorded_for_a_revoked_grant_too(ledger, story, client, code, tokens):
    await story.revokes(client, tokens.refresh_token)
    with pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(client, code)
    assert isinstance(ledger.events[-1], CodeReplayed)


async def test_a_third_redemption_records_nothing(ledger, story, client, code, tokens):
    with pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(client, code)
    with nothing_recorded(ledger), pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(client, code)


@wrong
@pytest.mark.usefixtures("tokens")
async def test_no_replay_is_recorded_for_a_request_with(ledger, story, client, code, mistake):
    with nothing_recorded(ledger), pytest.raises(mistake.refusal):
        await story.redeems(client, code, **mistake.request)


async def test_no_replay_is_recorded_for_another_client(ledger, story, client, code, tokens):
    thief = (await story.registers(client_name="Thief")).client
    with nothing_recorded(ledger), pytest.raises(CodeBelongsToAnotherClient):
        await story.redeems(thief, code)


async def test_no_replay_is_recorded_without_the_client_secret(ledger, story, ada):
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    code = await story.code(new.client, ada)
    await story.redeems(new.client, code, secret=new.secret)
    with nothing_recorded(ledger), pytest.raises(ClientAuthenticationFailed):
        await story.redeems(new.client, code)


# parallel redemptions


@pytest.fixture
def racing(ledger, story):
    """The same server, over a ledger that interleaves parallel requests."""
    return Story(InterleavingLedger(ledger), outside=story.outside)


async def test_of_fifty_parallel_redemptions_one_succeeds(racing, client, code):
    answers = await asyncio.gather(*(racing.redeems(client, code) for _ in range(50)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, CodeAlreadyRedeemed)]
    answered = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert (len(answered), len(refused)) == (1, 49)


async def test_fifty_parallel_redemptions_open_one_grant_and_revoke_it(ledger, racing, client, code):
    before = len(ledger.log)
    await asyncio.gather(*(racing.redeems(client, code) for _ in range(50)), return_exceptions=True)
    assert [type(event) for event in ledger.events[before:]] == [
        CodeRedeemed,
        GrantOpened,
        CodeReplayed,
        GrantRevoked,
    ]


async def test_fifty_parallel_redemptions_do_conflict(racing, client, code):
    await asyncio.gather(*(racing.redeems(client, code) for _ in range(50)), return_exceptions=True)
    assert racing.ledger.conflicts >= 49


async def test_parallel_redemptions_of_different_codes_all_succeed(racing, client, ada):
    codes = [await racing.code(client, ada) for _ in range(20)]
    tokens = await asyncio.gather(*(racing.redeems(client, code) for code in codes))
    assert len({answer.access_token for answer in tokens}) == 20


async def test_a_parallel_refresh_does_not_keep_a_replayed_grant_alive(ledger, racing, client, code, tokens):
    await asyncio.gather(
        racing.redeems(client, code), racing.refreshes(client, tokens), return_exceptions=True
    )
    with pytest.raises(GrantIsRevoked):
        await racing.looks_up(tokens)
    assert len(recorded(ledger, GrantRevoked)) == 1
    assert len(recorded(ledger, GrantRefreshed)) <= 1


# the form of a code, and what ends it


async def test_codes_have_a_prefix_and_are_url_safe(code):
    assert re.fullmatch(r"glac_[A-Za-z0-9_-]{32,}", code)


async def test_the_resource_may_be_repeated_when_redeeming(story, client, ada):
    code = await story.code(client, ada, resources=(MCP,))
    assert await story.redeems(client, code, resources=(MCP,))


async def test_a_code_is_refused_after_the_user_disconnects_the_client(ledger, story, client, ada, code):
    consent = await ledger.load(CONSENT, consent_key(ada.user_id, client.client_id))
    withdrawn = consent.state.withdraw(now=story.clock.now())
    await ledger.record([consent.then(withdrawn)], by_user(ada.user_id, CALLER))
    with nothing_recorded(ledger), pytest.raises(ConsentWithdrawnSince):
        await story.redeems(client, code)


async def test_disconnecting_the_client_during_a_redemption_leaves_no_grant(ledger, story, client, ada, code):
    racing = Story(
        InterruptedLedger(ledger, lambda: story.disconnect_app(ada.user_id, client.client_id, CALLER)),
        outside=story.outside,
    )
    with pytest.raises(ConsentWithdrawnSince):
        await racing.redeems(client, code)
    assert recorded(ledger, GrantOpened) == []


async def test_disabling_the_user_during_a_redemption_leaves_no_grant(ledger, story, client, ada, code):
    racing = Story(
        InterruptedLedger(ledger, lambda: story.disable_user(ada.user_id, CALLER)), outside=story.outside
    )
    with pytest.raises(UserIsDisabled):
        await racing.redeems(client, code)
    assert recorded(ledger, GrantOpened) == []


async def test_disabling_the_client_during_a_redemption_leaves_no_grant(ledger, story, client, code):
    racing = Story(
        InterruptedLedger(ledger, lambda: story.disable_client(client.client_id, CALLER)),
        outside=story.outside,
    )
    with pytest.raises(ClientIsDisabled):
        await racing.redeems(client, code)
    assert recorded(ledger, GrantOpened) == []
