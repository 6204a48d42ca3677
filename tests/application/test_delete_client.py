import pytest

from grantledger.application.provenance import by_operator
from grantledger.domain.client_registration import ClientDeleted, ClientUnknown
from support.storage import nothing_recorded
from support.story import CALLER


async def test_deleting_is_remembered_with_the_operator_as_the_one_who_did_it(ledger, story, client):
    await story.delete_client(client.client_id, CALLER)
    assert ledger.log[-1].event == ClientDeleted(deleted_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_a_deleted_client_is_unknown(ledger, story, client):
    await story.delete_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.delete_client(client.client_id, CALLER)


async def test_nobody_registered_is_unknown(ledger, story):
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.delete_client("glc_nobody", CALLER)


async def test_a_disabled_client_can_be_deleted_and_may_then_register_anew(story, client):
    await story.disable_client(client.client_id, CALLER)
    await story.delete_client(client.client_id, CALLER)
    assert not (await story.registers()).client.disabled


async def test_what_was_granted_before_stays_dead_however_often_the_client_registers(story, client, tokens):
    for _ in range(3):
        await story.delete_client(client.client_id, CALLER)
        await story.registers()
        with pytest.raises(ClientUnknown):
            await story.looks_up(tokens)
