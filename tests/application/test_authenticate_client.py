import pytest

from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.domain.client_registration import ClientAuthenticationFailed, ClientUnknown
from support.storage import nothing_recorded
from support.story import CALLER


def credentials(client, secret=None):
    return ClientCredentials(client_id=client.client_id, secret=secret)


@pytest.fixture
async def confidential(story):
    return await story.registers(token_endpoint_auth_method="client_secret_post")


async def test_a_public_client_is_found_by_its_id(story, client):
    assert await story.authenticate_client(credentials(client), CALLER) == client


async def test_an_empty_secret_counts_as_none(story, client):
    assert await story.authenticate_client(credentials(client, ""), CALLER) == client


async def test_a_public_client_with_a_secret_is_refused(story, client):
    with pytest.raises(ClientAuthenticationFailed):
        await story.authenticate_client(credentials(client, "anything"), CALLER)


async def test_a_confidential_client_authenticates_with_its_secret(story, confidential):
    assert await story.authenticate_client(credentials(confidential.client, confidential.secret), CALLER)


@pytest.mark.parametrize("secret", [None, "", "glcs_guessed"])
async def test_a_confidential_client_without_its_secret_is_refused(story, confidential, secret):
    with pytest.raises(ClientAuthenticationFailed):
        await story.authenticate_client(credentials(confidential.client, secret), CALLER)


async def test_the_stored_digest_is_not_the_secret(story, confidential):
    with pytest.raises(ClientAuthenticationFailed):
        await story.authenticate_client(
            credentials(confidential.client, confidential.client.secret_digest), CALLER
        )


async def test_the_secret_of_another_client_is_refused(story, confidential):
    other = await story.registers(token_endpoint_auth_method="client_secret_post")
    with pytest.raises(ClientAuthenticationFailed):
        await story.authenticate_client(credentials(confidential.client, other.secret), CALLER)


async def test_an_unregistered_client_is_unknown(ledger, story):
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.authenticate_client(ClientCredentials(client_id="glc_unknown"), CALLER)


async def test_a_deleted_client_is_unknown(story, client):
    await story.delete_client(client.client_id, CALLER)
    with pytest.raises(ClientUnknown):
        await story.authenticate_client(credentials(client), CALLER)


async def test_a_disabled_client_is_still_authenticated(story, client):
    await story.disable_client(client.client_id, CALLER)
    assert (await story.authenticate_client(credentials(client), CALLER)).disabled
