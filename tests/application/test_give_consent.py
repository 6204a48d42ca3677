import pytest

from grantledger.domain.authorization_request import ConsentDenied, SentBack, SignInNeeded
from grantledger.domain.client_registration import ClientIsDisabled
from grantledger.domain.consent import ConsentGiven
from support.clients import HTTPS
from support.requests import MCP
from support.storage import nothing_recorded
from support.story import CALLER


async def test_a_yes_gives_the_client_its_code_at_its_redirect_uri(story, client, ada):
    issued = await story.allows(await story.asks(client), ada)
    assert (issued.redirect_uri, issued.state) == (HTTPS, "the-state")


async def test_a_yes_is_remembered_for_that_user_client_resource_and_scopes(ledger, story, client, ada):
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


async def test_a_no_sends_the_browser_back_and_leaves_no_trace(ledger, story, client, ada):
    request = await story.asks(client)
    with nothing_recorded(ledger), pytest.raises(SentBack) as sent_back:
        await story.give_consent(request, ada, allowed=False, caller=CALLER)
    assert isinstance(sent_back.value.cause, ConsentDenied)
    assert (sent_back.value.redirect_uri, sent_back.value.state) == (HTTPS, "the-state")


@pytest.mark.parametrize("allowed", [True, False])
async def test_nobody_answers_who_is_not_signed_in(ledger, story, client, allowed):
    request = await story.asks(client)
    with nothing_recorded(ledger), pytest.raises(SignInNeeded):
        await story.give_consent(request, None, allowed=allowed, caller=CALLER)


@pytest.mark.parametrize("allowed", [True, False])
async def test_with_prompt_login_nobody_answers_who_did_not_sign_in_again(
    ledger, story, client, ada, allowed
):
    request = await story.asks(client, ada, prompt="login")
    with nothing_recorded(ledger), pytest.raises(SignInNeeded):
        await story.give_consent(request, ada, allowed=allowed, caller=CALLER)


async def test_a_no_is_not_sent_to_a_client_that_was_disabled_meanwhile(story, client, ada):
    request = await story.asks(client)
    await story.disable_client(client.client_id, CALLER)
    with pytest.raises(ClientIsDisabled):
        await story.give_consent(request, ada, allowed=False, caller=CALLER)
