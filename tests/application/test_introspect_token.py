"""Who may ask about an access token, and what they learn."""

import asyncio

import pytest

from fakes.memory_ledger import MemoryLedger
from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.application.throttling import TooManyGuesses
from grantledger.application.tokens.introspect_token import Introspection
from grantledger.application.tokens.mcp_session import SessionUser
from grantledger.domain.client_registration import ClientAuthenticationFailed, ClientUnknown
from grantledger.domain.rate import Rate
from grantledger.domain.resource import ResourceAuthenticationFailed
from grantledger.domain.resource_indicator import Resource
from support.requests import MCP, NOTES
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER, EMAIL, Story
from support.throttles import guess_limit
from support.use_cases import Outside


def credentials_of(new) -> ClientCredentials:
    return ClientCredentials(client_id=new.resource.resource_id, secret=new.secret)


@pytest.fixture
async def server(story) -> ClientCredentials:
    """The credentials of the server of the default resource."""
    return credentials_of(await story.add_resource(Resource(MCP), CALLER))


@pytest.fixture
async def confidential(story):
    return await story.registers(token_endpoint_auth_method="client_secret_post")


async def ask(story, credentials, token):
    return await story.introspect_token(Introspection(credentials=credentials, token=token, caller=CALLER))


async def test_a_resource_server_learns_whom_a_token_of_its_resource_is_for(story, server, client, ada):
    tokens = await story.tokens(client, ada, scope="openid notes:read")
    session = await ask(story, server, tokens.access_token)
    assert session.claims == {
        "iss": "https://auth.example",
        "sub": ada.user_id,
        "aud": MCP,
        "client_id": client.client_id,
        "scope": "openid notes:read",
        "iat": story.clock.now(),
        "exp": story.clock.now() + 3_600,
    }


async def test_the_user_is_named_as_far_as_the_scopes_allow(story, server, client, ada):
    tokens = await story.tokens(client, ada, scope="openid email")
    session = await ask(story, server, tokens.access_token)
    assert session.user == SessionUser(email=EMAIL, email_verified=False)


async def test_the_issue_time_of_an_older_token_is_unknown(story, server, client, tokens):
    await story.refreshes(client, tokens)
    assert "iat" not in (await ask(story, server, tokens.access_token)).claims


async def test_a_token_for_another_resource_is_inactive(story, server, client, ada):
    tokens = await story.tokens(client, ada, resources=(NOTES,))
    assert await ask(story, server, tokens.access_token) is None


async def test_a_refresh_token_is_inactive(story, server, tokens):
    assert await ask(story, server, tokens.refresh_token) is None


@pytest.mark.parametrize("token", ["x", "glat_" + "A" * 72])
async def test_an_unknown_token_is_inactive(story, server, token):
    assert await ask(story, server, token) is None


async def test_an_expired_token_is_inactive(story, server, tokens):
    story.clock.advance(3_600)
    assert await ask(story, server, tokens.access_token) is None


async def test_a_revoked_token_is_inactive(story, server, client, tokens):
    await story.revokes(client, tokens.refresh_token)
    assert await ask(story, server, tokens.access_token) is None


async def test_a_confidential_client_asks_about_its_own_token(story, confidential, ada):
    tokens = await story.redeems(
        confidential.client, await story.code(confidential.client, ada), secret=confidential.secret
    )
    own = ClientCredentials(client_id=confidential.client.client_id, secret=confidential.secret)
    assert await ask(story, own, tokens.access_token)


async def test_the_token_of_another_client_is_inactive(story, confidential, tokens):
    own = ClientCredentials(client_id=confidential.client.client_id, secret=confidential.secret)
    assert await ask(story, own, tokens.access_token) is None


async def test_a_public_client_may_not_ask_about_its_own_token(story, client, tokens):
    with pytest.raises(ClientAuthenticationFailed):
        await ask(story, ClientCredentials(client_id=client.client_id), tokens.access_token)


async def test_an_unknown_client_may_not_ask(story, tokens):
    with pytest.raises(ClientUnknown):
        await ask(story, ClientCredentials(client_id="glc_unknown", secret="x"), tokens.access_token)


@pytest.mark.parametrize("secret", [None, "", "glrs_wrong"])
async def test_a_resource_server_without_its_secret_may_not_ask(story, server, tokens, secret):
    wrong = ClientCredentials(client_id=server.client_id, secret=secret)
    with pytest.raises(ResourceAuthenticationFailed):
        await ask(story, wrong, tokens.access_token)


async def test_the_identifier_of_a_resource_is_not_the_id_of_its_server(story, server, tokens):
    with pytest.raises(ClientUnknown):
        await ask(story, ClientCredentials(client_id=MCP, secret=server.secret), tokens.access_token)


async def test_a_removed_secret_is_refused_by_the_next_request(ledger, story, server, tokens):
    elsewhere = Story(ledger, outside=story.outside)
    assert await ask(story, server, tokens.access_token)
    await elsewhere.remove_resource(MCP, CALLER)
    with pytest.raises(ResourceAuthenticationFailed):
        await ask(story, server, tokens.access_token)


async def test_a_secret_from_before_a_rotation_is_refused_after_an_hour(story, server, client, ada):
    new = await story.rotate_resource_secret(MCP, CALLER)
    tokens = await story.tokens(client, ada)
    assert await ask(story, server, tokens.access_token)
    assert await ask(story, credentials_of(new), tokens.access_token)
    story.clock.advance(3_600)
    with pytest.raises(ResourceAuthenticationFailed):
        await ask(story, server, tokens.access_token)


async def test_wrong_secrets_of_a_resource_server_are_throttled(ledger):
    story = Story(ledger, outside=Outside(guesses=guess_limit(Rate(2, 3_600), None, None)))
    new = await story.add_resource(Resource(MCP), CALLER)
    wrong = ClientCredentials(client_id=new.resource.resource_id, secret="wrong")
    for _ in range(2):
        with pytest.raises(ResourceAuthenticationFailed):
            await ask(story, wrong, "x")
    with pytest.raises(TooManyGuesses):
        await ask(story, credentials_of(new), "x")


async def test_asking_records_nothing(ledger, story, server, tokens):
    with nothing_recorded(ledger):
        await ask(story, server, tokens.access_token)


async def test_parallel_requests_with_the_right_secret_use_up_no_guesses():
    story = Story(
        InterleavingLedger(MemoryLedger()), outside=Outside(guesses=guess_limit(Rate(2, 3_600), None, None))
    )
    right = credentials_of(await story.add_resource(Resource(MCP), CALLER))
    client = await story.registers(token_endpoint_auth_method="client_secret_post")
    own = ClientCredentials(client_id=client.client.client_id, secret=client.secret)
    await asyncio.gather(*(ask(story, one, "x") for one in 5 * [right, own]))
