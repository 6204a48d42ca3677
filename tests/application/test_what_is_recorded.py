"""The log never contains a code, token, verifier, client secret or personal data."""

import msgspec
import pytest

from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.application.provenance import Caller
from grantledger.domain.authorization_code import CodeAlreadyRedeemed
from grantledger.domain.pkce import CodeVerifierMismatch
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import RefreshTokenAlreadyUsed
from support.codes import ANOTHER_VERIFIER, VERIFIER
from support.story import CALLER, EMAIL, PASSWORD


@pytest.fixture
async def secrets(story):
    """Do everything that can happen, and return each secret that a caller got or sent."""
    await story.open_account(EMAIL, PASSWORD, CALLER)
    signed_in = await story.sign_in(EMAIL, PASSWORD, CALLER)
    ada = signed_in.session
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    code = await story.code(new.client, ada)
    first = await story.redeems(new.client, code, secret=new.secret)
    second = await story.refreshes(new.client, first, secret=new.secret)
    await story.revokes(new.client, second.access_token, secret=new.secret)
    story.clock.advance(60)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await story.refreshes(new.client, first, secret=new.secret)
    with pytest.raises(CodeAlreadyRedeemed):
        await story.redeems(new.client, code, secret=new.secret)
    await story.sign_out(ada, CALLER)
    await story.disable_user(ada.user_id, CALLER)
    await story.disable_client(new.client.client_id, CALLER)
    await story.delete_client(new.client.client_id, CALLER)
    tokens = [first.access_token, first.refresh_token, second.access_token, second.refresh_token]
    return [code, new.secret, signed_in.cookie.partition(".")[2], VERIFIER, PASSWORD, EMAIL, *tokens]


async def test_no_secret_and_no_personal_data_is_in_the_log(ledger, secrets):
    log = "".join(msgspec.json.encode([*recorded]).decode() for recorded in ledger.log)
    assert [secret for secret in secrets if secret in log] == []


async def refusal_of(coroutine) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await coroutine
    return refused.value


async def test_no_secret_is_in_the_message_of_a_refusal(story, client, ada, code, tokens):
    guessed = ClientCredentials(client_id=client.client_id, secret="glcs_guessed")
    refusals = [
        await refusal_of(story.redeems(client, code, credentials=guessed)),
        await refusal_of(story.redeems(client, code, code_verifier=ANOTHER_VERIFIER)),
        await refusal_of(story.redeems(client, code)),
        await refusal_of(story.redeems(client, "glac_guessed")),
        await refusal_of(story.refreshes(client, tokens)),
        await refusal_of(story.looks_up(tokens)),
        await refusal_of(story.look_up_session("glat_guessed")),
        await refusal_of(story.sign_in(EMAIL, "wrong password", CALLER)),
    ]
    said = "".join(f"{refusal!r} {refusal}" for refusal in refusals)
    shown = ["guessed", code, ANOTHER_VERIFIER, EMAIL, "wrong password", tokens.access_token]
    assert [secret for secret in shown if secret in said] == []
    assert {type(refusal) for refusal in refusals} >= {CodeVerifierMismatch, SignInRefused}


async def test_the_address_of_the_caller_is_in_no_event(ledger, story, client, ada):
    caller = Caller(correlation_id="request", address="192.0.2.7")
    await story.disable_client(client.client_id, caller)
    assert "192.0.2.7" not in "".join(map(repr, ledger.events))
