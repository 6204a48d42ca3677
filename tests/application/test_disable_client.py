import pytest

from grantledger.application.provenance import by_operator
from grantledger.domain.client_registration import ClientDisabled, ClientUnknown
from support.storage import nothing_recorded
from support.story import CALLER


async def test_disabling_is_recorded_as_the_operators_act(ledger, story, client):
    await story.disable_client(client.client_id, CALLER)
    assert ledger.log[-1].event == ClientDisabled(disabled_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_disabling_is_one_event_for_any_number_of_grants(ledger, story, client, ada):
    for _ in range(3):
        await story.tokens(client, ada)
    before = len(ledger.log)
    await story.disable_client(client.client_id, CALLER)
    assert len(ledger.log) == before + 1


async def test_disabling_twice_records_one_event(ledger, story, client):
    await story.disable_client(client.client_id, CALLER)
    with nothing_recorded(ledger):
        await story.disable_client(client.client_id, CALLER)


async def test_disabling_a_client_does_not_affect_others(story, client, ada):
    other = (await story.registers(client_name="Another editor")).client
    tokens = await story.tokens(other, ada)
    await story.disable_client(client.client_id, CALLER)
    assert await story.looks_up(tokens)


async def test_an_unregistered_client_is_unknown(ledger, story):
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.disable_client("glc_unknown", CALLER)


async def test_a_deleted_client_is_unknown(ledger, story, client):
    await story.delete_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.disable_client(client.client_id, CALLER)
