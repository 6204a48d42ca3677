"""A resource or scope that the operator removes from the settings is refused wherever it is used."""

import pytest

from grantledger.application.authorization.resume_authorization import AskForConsent
from grantledger.domain.authorization_request import SentBack
from grantledger.domain.offer import NoLongerOffered
from support.policies import POLICY, a_policy
from support.requests import MCP, NOTES
from support.storage import nothing_recorded
from support.story import CALLER, Story

WITHOUT_NOTES = a_policy(resources=POLICY.resources[:1])
WITHOUT_EMAIL = a_policy(server_scopes=("openid", "profile", "offline_access"))


@pytest.fixture
def restarted(ledger, story):
    """Return the same server with other settings."""
    return lambda policy: Story(ledger, policy, story.outside)


async def test_a_session_of_a_removed_resource_is_refused(ledger, story, restarted, client, ada):
    tokens = await story.tokens(client, ada, resources=(NOTES,))
    with nothing_recorded(ledger), pytest.raises(NoLongerOffered):
        await restarted(WITHOUT_NOTES).looks_up(tokens)


async def test_a_session_has_no_scope_that_was_removed(story, restarted, client, ada):
    tokens = await story.tokens(client, ada, scope="openid email")
    assert (await restarted(WITHOUT_EMAIL).looks_up(tokens)).scopes == ("openid",)


async def test_a_session_of_removed_scopes_alone_is_refused(story, restarted, client, ada):
    tokens = await story.tokens(client, ada, scope="email")
    with pytest.raises(NoLongerOffered):
        await restarted(WITHOUT_EMAIL).looks_up(tokens)


async def test_a_refresh_for_a_removed_resource_is_refused_and_changes_nothing(
    ledger, story, restarted, client, ada
):
    tokens = await story.tokens(client, ada, resources=(NOTES,))
    with nothing_recorded(ledger), pytest.raises(NoLongerOffered):
        await restarted(WITHOUT_NOTES).refreshes(client, tokens)
    assert await story.refreshes(client, tokens)  # once it is configured again


async def test_a_refresh_leaves_out_a_scope_that_was_removed(story, restarted, client, ada):
    tokens = await story.tokens(client, ada, scope="openid email")
    assert (await restarted(WITHOUT_EMAIL).refreshes(client, tokens)).scopes == ("openid",)


async def test_a_refresh_of_removed_scopes_alone_is_refused_and_changes_nothing(
    ledger, story, restarted, client, ada
):
    tokens = await story.tokens(client, ada, scope="email")
    with nothing_recorded(ledger), pytest.raises(NoLongerOffered):
        await restarted(WITHOUT_EMAIL).refreshes(client, tokens)


async def test_a_refresh_across_the_removal_of_a_scope_can_be_retried(story, restarted, client, ada):
    tokens = await story.tokens(client, ada, scope="openid email")
    first = await story.refreshes(client, tokens)
    retried = await restarted(WITHOUT_EMAIL).refreshes(client, tokens)
    assert (retried.access_token, retried.refresh_token) == (first.access_token, first.refresh_token)


async def test_a_code_for_a_removed_resource_opens_no_grant(ledger, story, restarted, client, ada):
    code = await story.code(client, ada, resources=(NOTES,))
    with nothing_recorded(ledger), pytest.raises(NoLongerOffered):
        await restarted(WITHOUT_NOTES).redeems(client, code)


async def test_a_code_gives_no_scope_that_was_removed(story, restarted, client, ada):
    code = await story.code(client, ada, scope="openid email")
    assert (await restarted(WITHOUT_EMAIL).redeems(client, code)).scopes == ("openid",)


@pytest.mark.parametrize(
    ("asked", "policy"), [({"resources": (NOTES,)}, WITHOUT_NOTES), ({"scope": "email"}, WITHOUT_EMAIL)]
)
async def test_a_pending_request_for_what_was_removed_is_refused(story, restarted, client, asked, policy):
    await story.open_account("eve@example.com", "correct horse battery staple", CALLER)
    eve = await story.signs_in("eve@example.com")
    request = await story.asks(client, eve, **asked)
    later = restarted(policy)
    for session in (None, eve):
        with pytest.raises(NoLongerOffered):
            await later.resume_authorization(request, session, CALLER)
    with pytest.raises(NoLongerOffered):
        await later.allows(request, eve)
    with pytest.raises(SentBack):
        await later.give_consent(request, eve, allowed=False, caller=CALLER)


async def test_other_pending_requests_go_on(story, restarted, client, ada):
    request = await story.asks(client, ada, scope="openid", resources=(MCP,))
    assert isinstance(
        await restarted(WITHOUT_NOTES).resume_authorization(request, ada, CALLER), AskForConsent
    )
