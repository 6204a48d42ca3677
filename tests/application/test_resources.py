"""Resources that operators add and remove by command."""

import pytest

from grantledger.application.resources.administer_resources import ResourceOnIssuer
from grantledger.domain.authorization_request import SentBack
from grantledger.domain.digests import digest
from grantledger.domain.offer import NoLongerOffered
from grantledger.domain.resource import ResourceAdded, ResourceKnown, ResourceUnknown
from grantledger.domain.resource_indicator import Resource, ResourceForeign
from support.policies import a_policy
from support.requests import MCP
from support.storage import nothing_recorded
from support.story import CALLER, Story

FILES = Resource("https://files.example/mcp", "Files", ("files:list",))
OF_FILES = {"resources": (FILES.identifier,), "scope": "files:list"}


@pytest.fixture
def elsewhere(ledger, story) -> Story:
    """Another process over the same ledger."""
    return Story(ledger, outside=story.outside)


async def test_a_client_asks_for_a_resource_that_another_process_just_added(story, elsewhere, client, ada):
    await elsewhere.add_resource(FILES, CALLER)
    session = await story.looks_up(await story.tokens(client, ada, **OF_FILES))
    assert (session.resource, session.scopes) == (FILES.identifier, ("files:list",))


async def test_a_resource_that_was_not_added_is_refused(story, client, ada):
    with pytest.raises(SentBack) as refused:
        await story.asks(client, ada, **OF_FILES)
    assert isinstance(refused.value.cause, ResourceForeign)


async def test_the_scopes_of_an_added_resource_are_for_it_alone(story, client, ada):
    await story.add_resource(FILES, CALLER)
    asked = await story.asks(client, ada, resources=(MCP,), scope="openid files:list")
    assert asked.scopes == ("openid",)


async def test_an_added_resource_does_not_become_the_default_one(story, client, ada):
    await story.add_resource(FILES, CALLER)
    assert (await story.asks(client, ada)).resource == MCP


async def test_a_refresh_at_an_added_resource_keeps_its_scopes(story, client, ada):
    await story.add_resource(FILES, CALLER)
    tokens = await story.tokens(client, ada, **OF_FILES)
    assert (await story.refreshes(client, tokens, scope="files:list")).scopes == ("files:list",)


async def test_tokens_of_a_removed_resource_are_refused_by_the_next_request(story, client, ada):
    await story.add_resource(FILES, CALLER)
    tokens = await story.tokens(client, ada, **OF_FILES)
    await story.remove_resource(FILES.identifier, CALLER)
    with pytest.raises(NoLongerOffered):
        await story.looks_up(tokens)
    with pytest.raises(NoLongerOffered):
        await story.refreshes(client, tokens)


async def test_another_process_refuses_a_removed_resource_within_a_second(story, elsewhere, client, ada):
    await story.add_resource(FILES, CALLER)
    tokens = await story.tokens(client, ada, **OF_FILES)
    await elsewhere.remove_resource(FILES.identifier, CALLER)
    await story.looks_up(tokens)
    story.clock.advance(1)
    with pytest.raises(NoLongerOffered):
        await story.looks_up(tokens)


async def test_a_resource_that_is_added_again_has_its_tokens_back(story, client, ada):
    await story.add_resource(FILES, CALLER)
    tokens = await story.tokens(client, ada, **OF_FILES)
    await story.remove_resource(FILES.identifier, CALLER)
    await story.add_resource(FILES, CALLER)
    assert (await story.looks_up(tokens)).resource == FILES.identifier


async def test_removing_a_resource_of_the_settings_removes_only_its_credentials(story, client, ada):
    await story.add_resource(Resource(MCP), CALLER)
    tokens = await story.tokens(client, ada)
    await story.remove_resource(MCP, CALLER)
    assert (await story.looks_up(tokens)).resource == MCP


async def test_a_resource_removed_from_the_settings_is_refused_despite_credentials(
    ledger, story, client, ada
):
    await story.add_resource(Resource(MCP), CALLER)
    tokens = await story.tokens(client, ada)
    later = Story(ledger, a_policy(resources=(Resource("https://other.example"),)), story.outside)
    with pytest.raises(NoLongerOffered):
        await later.looks_up(tokens)


async def test_the_ledger_holds_only_the_digest_of_a_resources_secret(ledger, story):
    new = await story.add_resource(FILES, CALLER)
    (added,) = ledger.events
    assert isinstance(added, ResourceAdded)
    assert added.secret_digest == digest(new.secret)
    rotated = await story.rotate_resource_secret(FILES.identifier, CALLER)
    assert ledger.events[-1].secret_digest == digest(rotated.secret) != added.secret_digest


@pytest.mark.parametrize(("compromised", "seconds"), [(False, 3_600), (True, 0)])
async def test_the_previous_secret_is_accepted_for_an_hour_unless_compromised(story, compromised, seconds):
    await story.add_resource(FILES, CALLER)
    rotated = await story.rotate_resource_secret(FILES.identifier, CALLER, compromised=compromised)
    assert rotated.resource.previous_until == story.clock.now() + seconds


@pytest.mark.parametrize(
    "identifier",
    ["http://files.example", "files", "https://files.example/#part", f"https://files.example/{'x' * 2_048}"],
)
async def test_a_resource_is_not_added_with_an_invalid_identifier(ledger, story, identifier):
    with nothing_recorded(ledger), pytest.raises(ValueError, match="resource"):
        await story.add_resource(Resource(identifier), CALLER)


@pytest.mark.parametrize(
    "resource",
    [
        Resource("https://files.example", "x" * 201),
        Resource("https://files.example", "", ("x" * 1_025,)),
    ],
    ids=["name", "scopes"],
)
async def test_name_and_scopes_of_an_added_resource_are_bounded(ledger, story, resource):
    with nothing_recorded(ledger), pytest.raises(ValueError, match="at most"):
        await story.add_resource(resource, CALLER)


async def test_a_resource_on_the_issuers_origin_cannot_be_added_by_command(ledger, story):
    with nothing_recorded(ledger), pytest.raises(ResourceOnIssuer):
        await story.add_resource(Resource("https://auth.example/mcp"), CALLER)


async def test_a_resource_is_added_once(ledger, story):
    await story.add_resource(FILES, CALLER)
    with nothing_recorded(ledger), pytest.raises(ResourceKnown):
        await story.add_resource(FILES, CALLER)


async def test_an_unknown_resource_cannot_be_removed(ledger, story):
    with nothing_recorded(ledger), pytest.raises(ResourceUnknown):
        await story.remove_resource(FILES.identifier, CALLER)
