"""What an authorization request may leave out, and which scopes and resource it then means."""

from typing import Any
from urllib.parse import urlencode

import pytest

from support.oauth import Person, heading_of, query, returned
from support.server import Server

CONSENT = (200, "Allow access?")


async def raw(person: Person, text: str) -> Any:
    return await person.http.get(f"/authorize?{text}")


async def test_a_request_without_scope_resource_and_redirect_uri_means_the_defaults(
    server: Server, ada: Person, client: str
):
    page = await ada.asked(client, redirect_uri=None)
    assert heading_of(page) == CONSENT
    assert "claude.ai" in page.text
    assert f"{server.origin}/mcp" in page.text
    answer = await ada.submit(page, "consent", decision="allow")
    tokens = (await ada.redeem(client, returned(answer)["code"])).json()
    assert tokens["scope"] == "openid"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("openid\temail\nopenid", "openid email"),
        ("openid unknown email", "openid email"),
    ],
    ids=ascii,
)
async def test_of_the_requested_scopes_the_known_ones_are_granted(
    ada: Person, client: str, asked: str, granted: str
):
    assert (await ada.tokens(client, scope=asked))["scope"] == granted


async def test_a_client_may_ask_beyond_the_scope_that_it_registered(ada: Person):
    client = await ada.register(scope="openid")
    assert (await ada.tokens(client["client_id"], scope="openid email"))["scope"] == "openid email"


async def test_scopes_of_resources_are_known(two_resources: Server, member: Person):
    client = await member.register()
    resource = f"{two_resources.origin}/notes/mcp"
    tokens = await member.tokens(client["client_id"], scope="notes:read openid", resource=resource)
    assert tokens["scope"] == "notes:read openid"


async def test_the_default_resource_is_the_first_one(member: Person):
    client = await member.register()
    tokens = await member.tokens(client["client_id"])
    session = await member.session(tokens["access_token"])
    assert session.json()["resource"] == "https://mcp.example"


async def test_the_same_resource_may_be_named_twice(ada: Person, server: Server, client: str):
    text = urlencode([*query(client).items(), *[("resource", f"{server.origin}/mcp")] * 2])
    page = await ada.followed(await raw(ada, text))
    assert heading_of(await ada.sign_in(page)) == CONSENT
