import asyncio

import pytest

from grantledger.application.clients import prune_clients
from grantledger.application.provenance import by_operator
from grantledger.domain.client_registration import ClientDeleted
from support.policies import a_policy
from support.storage import nothing_recorded
from support.story import CALLER, Story

DAY = 86_400


async def pruned(story: Story, days: int = 30) -> list[str]:
    return await story.prune_clients(CALLER, unused_for=days * DAY)


async def test_a_client_that_was_never_used_is_deleted(ledger, story, client):
    story.clock.advance(30 * DAY)
    assert await pruned(story) == [client.client_id]
    assert ledger.events[-1] == ClientDeleted(deleted_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_a_client_is_not_deleted_a_second_before_its_time(ledger, story, client):
    story.clock.advance(30 * DAY - 1)
    with nothing_recorded(ledger):
        assert await pruned(story) == []


async def test_a_client_that_was_used_once_stays(ledger, story, client, ada, tokens):
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    story.clock.advance(400 * DAY)
    with nothing_recorded(ledger):
        assert await pruned(story) == []


async def test_a_client_that_an_operator_decided_about_stays(story, client):
    await story.approve_client(client.client_id, CALLER)
    story.clock.advance(30 * DAY)
    assert await pruned(story) == []


@pytest.mark.usefixtures("ada")
async def test_a_client_that_was_deleted_registers_again(story, client):
    story.clock.advance(30 * DAY)
    await pruned(story)
    again = (await story.registers()).client
    assert (again.client_id, again.registration) == (client.client_id, 2)
    assert (await story.tokens(again, await story.signs_in())).access_token


async def test_more_than_one_page_of_clients_is_deleted(story):
    names = [f"Client {number}" for number in range(250)]
    registered = {(await story.registers(client_name=name)).client.client_id for name in names}
    story.clock.advance(30 * DAY)
    assert set(await pruned(story)) == registered


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(("lifetime", "count"), [(30 * DAY, 1), (None, 0)])
async def test_a_server_prunes_clients_by_itself_unless_that_is_switched_off(
    ledger, story, monkeypatch, lifetime, count
):
    monkeypatch.setattr(prune_clients, "FIRST_AFTER", 0.0)
    server = Story(ledger, a_policy(unused_client_lifetime=lifetime), story.outside)
    story.clock.advance(30 * DAY)
    running = asyncio.create_task(server.prune_clients.run())
    for _ in range(10):
        await asyncio.sleep(0)
    running.cancel()
    assert [type(event) for event in ledger.events].count(ClientDeleted) == count
    if count:
        assert ledger.log[-1].by.actor_kind == "system"
