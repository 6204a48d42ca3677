import pytest

from grantledger.application.provenance import by_operator
from grantledger.domain.token_grant import GrantIsRevoked, GrantRevoked, GrantUnknown
from support.storage import nothing_recorded
from support.story import CALLER


async def grant_of(story, tokens) -> str:
    return str((await story.looks_up(tokens)).grant_id)


async def test_a_revocation_is_recorded_as_the_operators_act(ledger, story, client, tokens):
    await story.revoke_grant(await grant_of(story, tokens), CALLER)
    assert ledger.log[-1].event == GrantRevoked(reason="revoked_by_operator", revoked_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_every_token_of_a_revoked_grant_is_refused(story, client, tokens):
    await story.revoke_grant(await grant_of(story, tokens), CALLER)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)
    with pytest.raises(GrantIsRevoked):
        await story.refreshes(client, tokens)


async def test_an_unknown_grant_is_refused(ledger, story):
    with nothing_recorded(ledger), pytest.raises(GrantUnknown):
        await story.revoke_grant("unknown", CALLER)


async def test_revoking_twice_records_one_event(ledger, story, tokens):
    grant_id = await grant_of(story, tokens)
    await story.revoke_grant(grant_id, CALLER)
    with nothing_recorded(ledger):
        await story.revoke_grant(grant_id, CALLER)


async def test_other_grants_of_the_same_user_and_client_stay_valid(story, client, ada, tokens):
    other = await story.tokens(client, ada)
    await story.revoke_grant(await grant_of(story, tokens), CALLER)
    assert await story.looks_up(other)
