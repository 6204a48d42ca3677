import pytest

from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import AskForConsent, AskToSignIn
from grantledger.domain.authorization_request import (
    AlreadyConnected,
    ConsentNeeded,
    SentBack,
    SignInNeeded,
)
from grantledger.domain.client_registration import ClientIsDisabled, ClientUnknown
from grantledger.domain.consent import ConsentGiven
from support.clients import HTTPS, LOOPBACK
from support.requests import MCP, NOTES
from support.storage import InterruptedLedger, nothing_recorded
from support.story import CALLER, PASSWORD, Story

PRIVATE_USE = "cursor://anysphere.cursor-mcp/oauth/callback"


@pytest.fixture
def resumed(story):
    """Return what comes next in the browser with this session."""

    async def resumed(client, session, *, session_before=None, **parameters):
        request = await story.asks(client, session_before, **parameters)
        return await story.resume_authorization(request, session, CALLER)

    return resumed


@pytest.fixture
async def remembered(story, client, ada):
    """The client, with Ada's consent to `openid notes:read` at one resource."""
    await story.code(client, ada, scope="openid notes:read", resources=(MCP,))
    return client


# a sign-in is needed


async def test_without_a_session_a_sign_in_is_asked_for(resumed, client):
    assert await resumed(client, None) == AskToSignIn(client=client)


async def test_prompt_login_asks_a_signed_in_user_to_sign_in_again(resumed, remembered, ada):
    answer = await resumed(remembered, ada, session_before=ada, prompt="login")
    assert isinstance(answer, AskToSignIn)


async def test_prompt_login_asks_for_one_new_sign_in(story, resumed, remembered, ada):
    again = await story.signs_in()
    assert isinstance(await resumed(remembered, again, session_before=ada, prompt="login"), IssuedCode)


async def test_prompt_none_without_a_session_is_sent_back(resumed, client):
    with pytest.raises(SentBack) as sent_back:
        await resumed(client, None, prompt="none")
    assert isinstance(sent_back.value.cause, SignInNeeded)
    assert (sent_back.value.redirect_uri, sent_back.value.state) == (HTTPS, "the-state")


# consent is needed


async def test_without_consent_the_consent_page_is_asked_for(resumed, client, ada):
    assert await resumed(client, ada) == AskForConsent(
        client=client, session=ada, scopes=("openid", "notes:read")
    )


async def test_asking_for_consent_records_nothing(ledger, resumed, client, ada):
    with nothing_recorded(ledger):
        await resumed(client, ada)


async def test_prompt_none_without_consent_is_sent_back(resumed, client, ada):
    with pytest.raises(SentBack) as sent_back:
        await resumed(client, ada, prompt="none")
    assert isinstance(sent_back.value.cause, ConsentNeeded)
    assert (sent_back.value.redirect_uri, sent_back.value.state) == (HTTPS, "the-state")


async def test_prompt_consent_asks_again_despite_remembered_consent(resumed, remembered, ada):
    assert isinstance(await resumed(remembered, ada, prompt="consent"), AskForConsent)


async def test_remembered_consent_to_the_whole_request_gives_the_code(resumed, remembered, ada):
    answer = await resumed(remembered, ada, scope="notes:read", resources=(MCP,))
    assert isinstance(answer, IssuedCode)


async def test_prompt_none_with_remembered_consent_gives_the_code(resumed, remembered, ada):
    answer = await resumed(remembered, ada, scope="openid", resources=(MCP,), prompt="none")
    assert isinstance(answer, IssuedCode)


async def test_a_wider_scope_asks_again(resumed, remembered, ada):
    answer = await resumed(remembered, ada, scope="openid notes:read notes:write", resources=(MCP,))
    assert isinstance(answer, AskForConsent)


async def test_a_wider_request_knows_the_scopes_that_were_allowed_before(resumed, remembered, ada):
    answer = await resumed(remembered, ada, scope="openid notes:write", resources=(MCP,))
    assert answer.allowed_before == ("openid", "notes:read")


@pytest.mark.parametrize("other", [{"resources": (NOTES,)}, {"redirect_uri": LOOPBACK}])
async def test_scopes_allowed_for_another_host_or_resource_are_not_known(story, resumed, ada, other):
    client = (await story.registers(redirect_uris=(HTTPS, LOOPBACK))).client
    await story.code(client, ada, scope="openid notes:read", resources=(MCP,))
    answer = await resumed(client, ada, **{"scope": "notes:write", "resources": (MCP,), **other})
    assert answer.allowed_before == ()


async def test_another_resource_asks_again(resumed, remembered, ada):
    assert isinstance(await resumed(remembered, ada, scope="openid", resources=(NOTES,)), AskForConsent)


async def test_consent_given_at_different_times_adds_up(story, resumed, remembered, ada):
    await story.code(remembered, ada, scope="notes:write", resources=(MCP,))
    answer = await resumed(remembered, ada, scope="openid notes:read notes:write", resources=(MCP,))
    assert isinstance(answer, IssuedCode)


async def test_consent_of_another_user_does_not_count(story, resumed, remembered):
    await story.open_account("bob@example.com", PASSWORD, CALLER)
    bob = await story.signs_in("bob@example.com")
    assert isinstance(await resumed(remembered, bob), AskForConsent)


async def test_consent_for_another_client_does_not_count(story, resumed, remembered, ada):
    other = (await story.registers(client_name="Another editor")).client
    assert isinstance(await resumed(other, ada), AskForConsent)


async def test_consent_for_an_earlier_registration_does_not_count(story, resumed, remembered, ada):
    await story.delete_client(remembered.client_id, CALLER)
    again = (await story.registers()).client
    assert isinstance(await resumed(again, ada), AskForConsent)


@pytest.mark.parametrize("target", [LOOPBACK, "http://localhost:3118/callback", PRIVATE_USE])
async def test_consent_is_not_remembered_on_loopback_and_private_schemes(story, resumed, ada, target):
    native = (await story.registers(redirect_uris=(target,))).client
    await story.code(native, ada)
    assert isinstance(await resumed(native, ada), AskForConsent)


async def test_prompt_none_always_sends_a_native_client_back(story, resumed, ada):
    native = (await story.registers(redirect_uris=(LOOPBACK,))).client
    await story.code(native, ada)
    with pytest.raises(SentBack) as sent_back:
        await resumed(native, ada, prompt="none")
    assert isinstance(sent_back.value.cause, ConsentNeeded)


# the client was disabled or deleted meanwhile


@pytest.mark.parametrize("prompt", [None, "none"])
async def test_a_client_disabled_since_gets_no_response(story, client, prompt):
    request = await story.asks(client, prompt=prompt)
    await story.disable_client(client.client_id, CALLER)
    with pytest.raises(ClientIsDisabled):
        await story.resume_authorization(request, None, CALLER)


@pytest.mark.parametrize("registers_again", [False, True])
async def test_a_client_deleted_since_gets_no_response(story, client, ada, registers_again):
    request = await story.asks(client)
    await story.delete_client(client.client_id, CALLER)
    if registers_again:
        await story.registers()
    with pytest.raises(ClientUnknown):
        await story.resume_authorization(request, ada, CALLER)


async def test_an_answered_request_gives_no_second_code(ledger, story, remembered, ada):
    request = await story.asks(remembered, ada)
    await story.redeems(remembered, (await story.allows(request, ada)).code)
    with nothing_recorded(ledger), pytest.raises(AlreadyConnected):
        await story.resume_authorization(request, ada, CALLER)


@pytest.mark.parametrize("prompt", [None, "consent"])
async def test_an_answered_request_gives_its_code_again_without_a_page(ledger, story, ada, prompt):
    client = (await story.registers(redirect_uris=(LOOPBACK,))).client
    request = await story.asks(client, ada, redirect_uri=LOOPBACK, prompt=prompt)
    first = await story.allows(request, ada)
    with nothing_recorded(ledger):
        assert await story.resume_authorization(request, ada, CALLER) == first


@pytest.mark.parametrize("shown", [HTTPS, LOOPBACK])
async def test_consent_counts_only_for_the_redirect_host_that_was_shown(story, ada, shown):
    elsewhere = "https://elsewhere.example/callback"
    client = (await story.registers(redirect_uris=(shown, elsewhere))).client
    await story.code(client, ada, redirect_uri=shown)
    request = await story.asks(client, ada, redirect_uri=elsewhere)
    assert isinstance(await story.resume_authorization(request, ada, CALLER), AskForConsent)


# consent that is withdrawn between two reads of it


@pytest.fixture
def resumed_while_disconnecting(ledger, story, remembered, ada):
    """Return what comes next if another process disconnects the client between two reads of the consent."""

    async def disconnect():
        await story.disconnect_app(ada.user_id, remembered.client_id, CALLER)

    async def resumed(**parameters):
        request = await story.asks(remembered, scope="openid notes:read", resources=(MCP,), **parameters)
        racing = Story(InterruptedLedger(ledger, disconnect), outside=story.outside)
        return await racing.resume_authorization(request, ada, CALLER)

    return resumed


async def test_consent_withdrawn_in_parallel_is_asked_for_again(
    ledger, resumed_while_disconnecting, remembered, ada
):
    """Fails if a remembered consent restores a consent that was withdrawn."""
    assert await resumed_while_disconnecting() == AskForConsent(
        client=remembered, session=ada, scopes=("openid", "notes:read")
    )
    assert sum(isinstance(event, ConsentGiven) for event in ledger.events) == 1


async def test_with_prompt_none_consent_withdrawn_in_parallel_is_sent_back(
    resumed_while_disconnecting,
):
    with pytest.raises(SentBack) as sent_back:
        await resumed_while_disconnecting(prompt="none")
    assert isinstance(sent_back.value.cause, ConsentNeeded)
