import pytest

from grantledger.application.provenance import by_operator
from grantledger.domain.client_registration import ClientEnabled, ClientUnknown
from support.storage import nothing_recorded
from support.story import CALLER


async def test_a_client_goes_on_with_the_grants_that_it_had(story, client, tokens):
    await story.disable_client(client.client_id, CALLER)
    await story.enable_client(client.client_id, CALLER)
    assert await story.looks_up(tokens)
    assert await story.refreshes(client, tokens)


async def test_enabling_is_remembered_with_the_operator_as_the_one_who_did_it(ledger, story, client):
    await story.disable_client(client.client_id, CALLER)
    await story.enable_client(client.client_id, CALLER)
    assert ledger.log[-1].event == ClientEnabled(enabled_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_a_client_that_is_not_disabled_stays_as_it_is(ledger, story, client):
    with nothing_recorded(ledger):
        await story.enable_client(client.client_id, CALLER)


async def test_an_unknown_or_deleted_client_is_unknown(ledger, story, client):
    await story.delete_client(client.client_id, CALLER)
    with nothing_recorded(ledger):
        for client_id in ("glc_nobody", client.client_id):
            with pytest.raises(ClientUnknown):
                await story.enable_client(client_id, CALLER)
