import pytest
from msgspec.structs import replace

from grantledger.application.ports import Unavailable
from grantledger.application.provenance import by_client
from grantledger.domain.client_registration import ClientAuthenticationFailed, ClientUnknown
from grantledger.domain.token_grant import (
    AccessTokenHasEnded,
    AccessTokensRevoked,
    GrantIsRevoked,
    GrantRevoked,
    TokenBelongsToAnotherClient,
)
from support.storage import nothing_recorded
from support.story import CALLER

# a refresh token, with its whole grant


async def test_a_revoked_refresh_token_is_refused(story, client, tokens):
    await story.revokes(client, tokens.refresh_token)
    with pytest.raises(GrantIsRevoked):
        await story.refreshes(client, tokens)


async def test_revoking_a_refresh_token_refuses_the_access_tokens_of_its_grant(story, client, tokens):
    await story.revokes(client, tokens.refresh_token)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)


async def test_revoking_a_superseded_refresh_token_refuses_the_newest_tokens(story, client, tokens):
    newest = await story.refreshes(client, tokens)
    await story.revokes(client, tokens.refresh_token)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(newest)


async def test_revoking_a_refresh_token_is_recorded_as_the_clients_act(ledger, story, client, tokens):
    await story.revokes(client, tokens.refresh_token)
    assert ledger.log[-1].event == GrantRevoked(reason="revoked_by_client", revoked_at=story.clock.now())
    assert ledger.log[-1].by == by_client(client.client_id, CALLER)


async def test_revoking_a_refresh_token_keeps_other_grants(story, client, ada, tokens):
    other = await story.tokens(client, ada)
    await story.revokes(client, tokens.refresh_token)
    assert await story.looks_up(other)


# an access token, with the older ones


async def test_a_revoked_access_token_is_refused(story, client, tokens):
    await story.revokes(client, tokens.access_token)
    with pytest.raises(AccessTokenHasEnded):
        await story.looks_up(tokens)


async def test_revoking_an_access_token_refuses_the_older_ones(story, client, tokens):
    newer = await story.refreshes(client, tokens)
    await story.revokes(client, newer.access_token)
    with pytest.raises(AccessTokenHasEnded):
        await story.looks_up(tokens)


async def test_revoking_an_access_token_keeps_the_newer_ones(story, client, tokens):
    newer = await story.refreshes(client, tokens)
    await story.revokes(client, tokens.access_token)
    assert await story.looks_up(newer)


async def test_revoking_an_access_token_keeps_the_refresh_token(story, client, tokens):
    await story.revokes(client, tokens.access_token)
    assert await story.looks_up(await story.refreshes(client, tokens))


async def test_revoking_an_access_token_is_recorded(ledger, story, client, tokens):
    await story.revokes(client, tokens.access_token)
    assert ledger.events[-1] == AccessTokensRevoked(through_generation=0, revoked_at=story.clock.now())


# what is refused already


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
async def test_revoking_twice_records_one_event(ledger, story, client, tokens, token):
    await story.revokes(client, getattr(tokens, token))
    with nothing_recorded(ledger):
        await story.revokes(client, getattr(tokens, token))


@pytest.mark.parametrize("token", ["", "unknown", "glat_guessed", "glrt_guessed", "eyJhbGciOiJub25lIn0.e30."])
async def test_revoking_an_unknown_token_succeeds(ledger, story, client, token):
    with nothing_recorded(ledger):
        await story.revokes(client, token)


async def test_a_token_with_another_seal_revokes_nothing(ledger, story, client, tokens):
    with nothing_recorded(ledger):
        await story.revokes(client, tokens.refresh_token + "x")
    assert await story.looks_up(tokens)


async def test_a_token_of_an_unknown_grant_revokes_nothing(ledger, story, client, tokens):
    claims = replace(story.sealer.read(tokens.refresh_token).claims, grant_id="no-such-grant")
    with nothing_recorded(ledger):
        await story.revokes(client, story.sealer.refresh_token(claims, "nonce"))


# who may revoke


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
async def test_another_client_cannot_revoke(ledger, story, tokens, token):
    thief = (await story.registers(client_name="Thief")).client
    with nothing_recorded(ledger), pytest.raises(TokenBelongsToAnotherClient):
        await story.revokes(thief, getattr(tokens, token))


async def test_an_unregistered_client_cannot_revoke(ledger, story, client, tokens):
    await story.delete_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.revokes(client, tokens.refresh_token)


async def test_a_confidential_client_revokes_with_its_secret(story, ada):
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    tokens = await story.redeems(new.client, await story.code(new.client, ada), secret=new.secret)
    await story.revokes(new.client, tokens.refresh_token, secret=new.secret)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)


@pytest.mark.parametrize("secret", [None, "glcs_guessed"])
async def test_a_confidential_client_cannot_revoke_without_its_secret(ledger, story, ada, secret):
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    tokens = await story.redeems(new.client, await story.code(new.client, ada), secret=new.secret)
    with nothing_recorded(ledger), pytest.raises(ClientAuthenticationFailed):
        await story.revokes(new.client, tokens.refresh_token, secret=secret)


async def test_a_disabled_client_can_still_revoke_its_tokens(ledger, story, client, tokens):
    await story.disable_client(client.client_id, CALLER)
    await story.revokes(client, tokens.refresh_token)
    assert isinstance(ledger.events[-1], GrantRevoked)


async def test_an_outage_is_not_reported_as_a_revocation(ledger, story, client, tokens):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await story.revokes(client, tokens.refresh_token)
