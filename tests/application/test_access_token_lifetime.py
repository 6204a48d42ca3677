"""How long an access token is valid: the shortest of what server, resource and client say."""

import pytest

from grantledger.domain.client_registration import ClientUnknown
from grantledger.domain.resource_indicator import Resource
from support.policies import a_policy
from support.requests import MCP
from support.storage import nothing_recorded
from support.story import CALLER, Story

SERVER = 3_600


@pytest.mark.parametrize(
    ("limits", "shortest"),
    [((None, None), SERVER), ((600, None), 600), ((None, 300), 300), ((600, 300), 300), ((200, 300), 200)],
)
async def test_the_shortest_lifetime_counts_for_codes_and_refreshes(ledger, story, ada, limits, shortest):
    resource, client = limits
    policy = a_policy(resources=(Resource(MCP, access_token_expires_in=resource),))
    limited = Story(ledger, policy, story.outside)
    registered = (await limited.registers()).client
    await limited.limit_access_tokens(registered.client_id, client, CALLER)
    tokens = await limited.tokens(registered, ada)
    assert tokens.expires_in == shortest
    assert (await limited.refreshes(registered, tokens)).expires_in == shortest


async def test_a_longer_lifetime_than_the_servers_changes_nothing(story, client, ada):
    await story.limit_access_tokens(client.client_id, 2 * SERVER, CALLER)
    assert (await story.tokens(client, ada)).expires_in == SERVER


async def test_an_added_resource_has_a_lifetime_of_its_own(story, client, ada):
    files = Resource("https://files.example/mcp", access_token_expires_in=600)
    await story.add_resource(files, CALLER)
    assert (await story.tokens(client, ada, resources=(files.identifier,))).expires_in == 600


async def test_a_new_lifetime_changes_no_token_that_was_issued(story, client, ada):
    tokens = await story.tokens(client, ada)
    await story.limit_access_tokens(client.client_id, 300, CALLER)
    story.clock.advance(SERVER - 1)
    assert await story.looks_up(tokens)


async def test_a_limit_can_be_removed(story, client, ada):
    for lifetime in (300, None):
        await story.limit_access_tokens(client.client_id, lifetime, CALLER)
    assert (await story.tokens(client, ada)).expires_in == SERVER


async def test_the_same_limit_again_records_nothing(ledger, story, client):
    await story.limit_access_tokens(client.client_id, 300, CALLER)
    with nothing_recorded(ledger):
        await story.limit_access_tokens(client.client_id, 300, CALLER)


async def test_a_client_that_registers_again_after_a_deletion_has_no_limit(story, client, ada):
    await story.limit_access_tokens(client.client_id, 300, CALLER)
    await story.delete_client(client.client_id, CALLER)
    again = (await story.registers()).client
    assert again.client_id == client.client_id
    assert (await story.tokens(again, ada)).expires_in == SERVER


async def test_an_unknown_client_gets_no_limit(ledger, story):
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.limit_access_tokens("glc_unknown", 300, CALLER)


async def test_a_client_with_a_limit_is_not_pruned(story, client):
    await story.limit_access_tokens(client.client_id, 300, CALLER)
    story.clock.advance(365 * 86_400)
    assert await story.prune_clients(CALLER, unused_for=0) == []
