import pytest

from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import AskForConsent
from grantledger.application.provenance import by_operator
from grantledger.domain.client_registration import ClientApprovalWithdrawn, ClientApproved, ClientUnknown
from support.clients import LOOPBACK
from support.storage import nothing_recorded
from support.story import CALLER


async def what_comes_next(story, client, ada) -> object:
    """What an authorization request still needs if the user has consented to it before."""
    return await story.resume_authorization(await story.asks(client, ada), ada, CALLER)


async def on_loopback(story, auth_method):
    return (await story.registers(redirect_uris=(LOOPBACK,), token_endpoint_auth_method=auth_method)).client


async def test_an_approval_is_recorded_as_the_operators_act(ledger, story, client):
    await story.approve_client(client.client_id, CALLER)
    await story.withdraw_approval(client.client_id, CALLER)
    now = story.clock.now()
    assert ledger.events[-2:] == [ClientApproved(approved_at=now), ClientApprovalWithdrawn(withdrawn_at=now)]
    assert [recorded.by for recorded in ledger.log[-2:]] == [by_operator(CALLER)] * 2


async def test_users_of_an_approved_client_with_a_secret_are_asked_once(story, ada):
    client = await on_loopback(story, "client_secret_basic")
    await story.code(client, ada)
    assert isinstance(await what_comes_next(story, client, ada), AskForConsent)
    await story.approve_client(client.client_id, CALLER)
    assert isinstance(await what_comes_next(story, client, ada), IssuedCode)
    await story.withdraw_approval(client.client_id, CALLER)
    assert isinstance(await what_comes_next(story, client, ada), AskForConsent)


async def test_users_of_a_public_client_on_loopback_are_asked_each_time(story, ada):
    client = await on_loopback(story, "none")
    await story.code(client, ada)
    await story.approve_client(client.client_id, CALLER)
    assert isinstance(await what_comes_next(story, client, ada), AskForConsent)


async def test_an_approval_is_no_consent(story, ada):
    client = await on_loopback(story, "client_secret_basic")
    await story.approve_client(client.client_id, CALLER)
    assert isinstance(await what_comes_next(story, client, ada), AskForConsent)


async def test_approving_twice_records_one_event(ledger, story, client):
    await story.approve_client(client.client_id, CALLER)
    with nothing_recorded(ledger):
        await story.approve_client(client.client_id, CALLER)


async def test_an_unknown_client_is_refused(ledger, story):
    with nothing_recorded(ledger):
        for use_case in (story.approve_client, story.withdraw_approval):
            with pytest.raises(ClientUnknown):
                await use_case("glc_unknown", CALLER)
