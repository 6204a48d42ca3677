from grantledger.application.connected_apps.list_connected_apps import ConnectedApp
from grantledger.domain.token_grant import Access
from support.clients import HTTPS, LOOPBACK
from support.policies import a_policy
from support.requests import MCP, NOTES
from support.story import CALLER, PASSWORD, Story


async def test_at_first_no_app_is_listed(story, ada):
    assert await story.list_connected_apps(ada.user_id) == ()


async def test_an_app_is_listed_with_its_access_and_the_time_of_connection(story, client, ada):
    since = story.clock.now()
    tokens = await story.tokens(client, ada, scope="openid notes:read", resources=(NOTES,))
    story.clock.advance(60)
    await story.refreshes(client, tokens)
    assert await story.list_connected_apps(ada.user_id) == (
        ConnectedApp(
            client=client,
            hosts=("client.example",),
            access=(Access(NOTES, ("openid", "notes:read")),),
            connections=1,
            since=since,
            last_refresh=since + 60,
        ),
    )


async def test_an_app_that_never_refreshed_has_no_last_refresh(story, ada, tokens):
    (app,) = await story.list_connected_apps(ada.user_id)
    assert app.last_refresh is None


async def test_several_grants_of_one_app_are_listed_as_one_app(story, client, ada):
    since = story.clock.now()
    await story.tokens(client, ada, scope="openid")
    story.clock.advance(60)
    await story.tokens(client, ada, scope="email files:read", resources=(MCP,))
    (app,) = await story.list_connected_apps(ada.user_id)
    assert (app.connections, app.since) == (2, since)
    assert {(access.resource, frozenset(access.scopes)) for access in app.access} == {
        (MCP, frozenset({"openid", "email", "files:read"}))
    }


async def test_the_most_recently_connected_app_is_first(story, ada):
    """By its newest connection: one that connects again comes first again."""
    for name in ("first", "second", "first"):
        await story.tokens((await story.registers(client_name=name)).client, ada)
        story.clock.advance(1)
    apps = await story.list_connected_apps(ada.user_id)
    assert [app.client.metadata.client_name for app in apps] == ["first", "second"]


async def test_an_app_with_remembered_consent_and_no_tokens_is_listed(story, client, ada, tokens):
    story.clock.advance(605_000)
    (app,) = await story.list_connected_apps(ada.user_id)
    assert (app.connections, app.since) == (0, None)
    assert [access.resource for access in app.access] == [MCP]


async def test_an_app_that_revoked_its_own_tokens_has_no_connection(story, client, ada, tokens):
    await story.revokes(client, tokens.refresh_token)
    (app,) = await story.list_connected_apps(ada.user_id)
    assert app.connections == 0


async def test_the_apps_of_another_user_are_not_listed(story, client, ada, tokens):
    await story.open_account("eve@example.com", PASSWORD, CALLER)
    eve = await story.signs_in("eve@example.com")
    assert await story.list_connected_apps(eve.user_id) == ()


async def test_a_deleted_app_is_not_listed(story, client, ada, tokens):
    await story.delete_client(client.client_id, CALLER)
    assert await story.list_connected_apps(ada.user_id) == ()


async def test_grants_of_an_earlier_registration_are_not_listed(story, client, ada, tokens):
    await story.delete_client(client.client_id, CALLER)
    await story.registers()
    assert await story.list_connected_apps(ada.user_id) == ()


async def test_a_disabled_app_is_still_listed(story, client, ada, tokens):
    await story.disable_client(client.client_id, CALLER)
    (app,) = await story.list_connected_apps(ada.user_id)
    assert app.client.disabled


async def test_every_redirect_host_is_listed(story, ada):
    client = (await story.registers(redirect_uris=(HTTPS, LOOPBACK))).client
    for target in (HTTPS, LOOPBACK):
        code = await story.code(client, ada, redirect_uri=target)
        await story.redeems(client, code, redirect_uri=target)
    (app,) = await story.list_connected_apps(ada.user_id)
    assert len(app.hosts) == 2


async def test_an_expired_grant_is_no_connection(ledger, client, ada):
    limited = Story(ledger, a_policy(grant_lifetime=100))
    await limited.tokens(client, ada)
    limited.clock.advance(100)
    (app,) = await limited.list_connected_apps(ada.user_id)
    assert app.connections == 0


async def test_an_app_with_an_unredeemed_code_is_listed(story, client, ada, code):
    (app,) = await story.list_connected_apps(ada.user_id)
    assert (app.client, app.connections) == (client, 0)
