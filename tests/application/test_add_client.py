"""Clients that an operator adds, with an id and a secret."""

import pytest

from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.domain.client_metadata import RedirectUriInvalid, RegistrationRequest
from grantledger.domain.client_registration import ClientAuthenticationFailed, ClientRegistered
from grantledger.domain.digests import digest
from grantledger.domain.redirect_uri import RedirectUriForbidden
from support.clients import HTTPS
from support.policies import a_policy
from support.storage import nothing_recorded
from support.story import CALLER, Story

REQUEST = RegistrationRequest(redirect_uris=(HTTPS,), client_name="Claude")


async def test_an_added_client_redeems_codes_and_refreshes_with_its_secret(story, ada):
    new = await story.add_client(REQUEST, CALLER)
    tokens = await story.redeems(new.client, await story.code(new.client, ada), secret=new.secret)
    assert (await story.refreshes(new.client, tokens, secret=new.secret)).access_token


async def test_an_added_client_is_refused_without_its_secret(story, ada):
    new = await story.add_client(REQUEST, CALLER)
    with pytest.raises(ClientAuthenticationFailed):
        await story.redeems(new.client, await story.code(new.client, ada))


async def test_the_ledger_holds_only_the_digest_of_an_added_clients_secret(ledger, story):
    new = await story.add_client(REQUEST, CALLER)
    registered = ledger.events[0]
    assert isinstance(registered, ClientRegistered)
    assert registered.secret_digest == digest(new.secret)
    assert new.secret not in str(ledger.events)


async def test_an_operator_adds_clients_where_registration_is_closed(ledger, story):
    closed = Story(ledger, a_policy(registration_mode="closed"), story.outside)
    assert (await closed.add_client(REQUEST, CALLER)).client.metadata.client_name == "Claude"


async def test_an_added_client_is_approved_and_stays_though_it_is_unused(story):
    new = await story.add_client(REQUEST, CALLER)
    story.clock.advance(365 * 86_400)
    assert await story.prune_clients(CALLER, unused_for=0) == []
    assert new.client.approved


async def test_two_added_clients_have_different_ids_and_secrets(story):
    one, other = [await story.add_client(REQUEST, CALLER) for _ in range(2)]
    assert one.client.client_id != other.client.client_id
    assert one.secret != other.secret
    credentials = ClientCredentials(client_id=one.client.client_id, secret=other.secret)
    with pytest.raises(ClientAuthenticationFailed):
        await story.authenticate_client(credentials, CALLER)


@pytest.mark.parametrize(
    ("uri", "refusal"),
    [("com.example.app:/callback", RedirectUriInvalid), ("javascript:x", RedirectUriForbidden)],
)
async def test_no_redirect_uri_is_left_out_silently(ledger, story, uri, refusal):
    request = RegistrationRequest(redirect_uris=(HTTPS, uri), client_name="Claude")
    with nothing_recorded(ledger), pytest.raises(refusal):
        await story.add_client(request, CALLER)
