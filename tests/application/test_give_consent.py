import pytest

from grantledger.domain.authorization_request import (
    AlreadyConnected,
    ConsentDenied,
    SentBack,
    SignInNeeded,
    TransactionSpent,
)
from grantledger.domain.client_registration import ClientIsDisabled
from grantledger.domain.consent import ConsentGiven
from support.clients import HTTPS
from support.requests import MCP
from support.storage import nothing_recorded
from support.story import CALLER


async def test_consent_returns_a_code_for_the_redirect_uri(story, client, ada):
    issued = await story.allows(await story.asks(client), ada)
    assert (issued.redirect_uri, issued.state) == (HTTPS, "the-state")


async def test_consent_is_recorded_for_user_client_resource_and_scopes(ledger, story, client, ada):
    await story.allows(await story.asks(client, scope="openid notes:read"), ada)
    assert ledger.events[-2] == ConsentGiven(
        user_id=ada.user_id,
        client_id=client.client_id,
        client_registration=1,
        redirect_host="client.example",
        resource=MCP,
        scopes=("openid", "notes:read"),
        given_at=story.clock.now(),
    )


async def test_denial_sends_the_browser_back_and_records_nothing(ledger, story, client, ada):
    request = await story.asks(client)
    with nothing_recorded(ledger), pytest.raises(SentBack) as sent_back:
        await story.give_consent(request, ada, allowed=False, caller=CALLER)
    assert isinstance(sent_back.value.cause, ConsentDenied)
    assert (sent_back.value.redirect_uri, sent_back.value.state) == (HTTPS, "the-state")


async def test_a_request_that_was_allowed_cannot_be_denied(ledger, story, client, ada):
    """The client has its answer, and must not get a second one."""
    request = await story.asks(client)
    issued = await story.allows(request, ada)
    with nothing_recorded(ledger), pytest.raises(TransactionSpent):
        await story.give_consent(request, ada, allowed=False, caller=CALLER)
    await story.redeems(client, issued.code)
    with nothing_recorded(ledger), pytest.raises(AlreadyConnected):
        await story.give_consent(request, ada, allowed=False, caller=CALLER)


@pytest.mark.parametrize("allowed", [True, False])
async def test_without_a_session_consent_needs_a_sign_in(ledger, story, client, allowed):
    request = await story.asks(client)
    with nothing_recorded(ledger), pytest.raises(SignInNeeded):
        await story.give_consent(request, None, allowed=allowed, caller=CALLER)


@pytest.mark.parametrize("allowed", [True, False])
async def test_with_prompt_login_consent_needs_a_new_sign_in(ledger, story, client, ada, allowed):
    request = await story.asks(client, ada, prompt="login")
    with nothing_recorded(ledger), pytest.raises(SignInNeeded):
        await story.give_consent(request, ada, allowed=allowed, caller=CALLER)


async def test_denial_is_not_sent_to_a_client_disabled_since(story, client, ada):
    request = await story.asks(client)
    await story.disable_client(client.client_id, CALLER)
    with pytest.raises(ClientIsDisabled):
        await story.give_consent(request, ada, allowed=False, caller=CALLER)
