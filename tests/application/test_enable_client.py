import pytest

from grantledger.application.provenance import by_operator
from grantledger.domain.client_registration import ClientEnabled, ClientUnknown
from support.storage import nothing_recorded
from support.story import CALLER


async def test_an_enabled_client_has_its_grants_again(story, client, tokens):
    await story.disable_client(client.client_id, CALLER)
    await story.enable_client(client.client_id, CALLER)
    assert await story.looks_up(tokens)
    assert await story.refreshes(client, tokens)


async def test_enabling_is_recorded_as_the_operators_act(ledger, story, client):
    await story.disable_client(client.client_id, CALLER)
    await story.enable_client(client.client_id, CALLER)
    assert ledger.log[-1].event == ClientEnabled(enabled_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_enabling_an_enabled_client_records_nothing(ledger, story, client):
    with nothing_recorded(ledger):
        await story.enable_client(client.client_id, CALLER)


async def test_an_unknown_or_deleted_client_is_refused(ledger, story, client):
    await story.delete_client(client.client_id, CALLER)
    with nothing_recorded(ledger):
        for client_id in ("glc_unknown", client.client_id):
            with pytest.raises(ClientUnknown):
                await story.enable_client(client_id, CALLER)
