import pytest

from grantledger.application.provenance import by_operator, by_user
from grantledger.domain.token_grant import GrantIsRevoked, GrantRevoked, GrantUnknown
from support.storage import nothing_recorded
from support.story import CALLER


async def grant_of(story, tokens) -> str:
    return str((await story.looks_up(tokens)).grant_id)


async def test_an_operator_revokes_a_grant_and_is_remembered_with_its_client(ledger, story, client, tokens):
    await story.revoke_grant(await grant_of(story, tokens), by_operator(CALLER))
    assert ledger.log[-1].event == GrantRevoked(reason="revoked_by_operator", revoked_at=story.clock.now())
    assert (ledger.log[-1].by.actor_kind, ledger.log[-1].by.client_id) == ("operator", client.client_id)


async def test_every_token_of_a_revoked_grant_is_refused(story, client, tokens):
    await story.revoke_grant(await grant_of(story, tokens), by_operator(CALLER))
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)
    with pytest.raises(GrantIsRevoked):
        await story.refreshes(client, tokens)


async def test_users_revoke_grants_of_their_own(ledger, story, ada, tokens):
    await story.revoke_grant(await grant_of(story, tokens), by_user(ada.user_id, CALLER))
    assert ledger.events[-1] == GrantRevoked(reason="revoked_by_user", revoked_at=story.clock.now())
    assert ledger.log[-1].by.actor_id == ada.user_id


async def test_another_users_grant_is_as_unknown_as_none(ledger, story, tokens):
    grant_id = await grant_of(story, tokens)
    with nothing_recorded(ledger):
        with pytest.raises(GrantUnknown):
            await story.revoke_grant(grant_id, by_user("glu_bob", CALLER))
        with pytest.raises(GrantUnknown):
            await story.revoke_grant("nobody", by_operator(CALLER))
    assert await story.looks_up(tokens)


async def test_revoking_twice_is_revoking_once(ledger, story, tokens):
    grant_id = await grant_of(story, tokens)
    await story.revoke_grant(grant_id, by_operator(CALLER))
    with nothing_recorded(ledger):
        await story.revoke_grant(grant_id, by_operator(CALLER))


async def test_other_grants_of_the_same_user_and_client_live_on(story, client, ada, tokens):
    other = await story.tokens(client, ada)
    await story.revoke_grant(await grant_of(story, tokens), by_operator(CALLER))
    assert await story.looks_up(other)
