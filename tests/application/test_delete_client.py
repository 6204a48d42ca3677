import pytest

from grantledger.application.provenance import by_operator
from grantledger.domain.client_registration import ClientDeleted, ClientUnknown
from support.storage import nothing_recorded
from support.story import CALLER


async def test_deleting_is_recorded_as_the_operators_act(ledger, story, client):
    await story.delete_client(client.client_id, CALLER)
    assert ledger.log[-1].event == ClientDeleted(deleted_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_a_deleted_client_is_unknown(ledger, story, client):
    await story.delete_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.delete_client(client.client_id, CALLER)


async def test_an_unregistered_client_is_unknown(ledger, story):
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.delete_client("glc_unknown", CALLER)


async def test_a_disabled_client_can_be_deleted_and_then_register_again(story, client):
    await story.disable_client(client.client_id, CALLER)
    await story.delete_client(client.client_id, CALLER)
    assert not (await story.registers()).client.disabled


async def test_grants_from_before_a_deletion_stay_refused(story, client, tokens):
    for _ in range(3):
        await story.delete_client(client.client_id, CALLER)
        await story.registers()
        with pytest.raises(ClientUnknown):
            await story.looks_up(tokens)
