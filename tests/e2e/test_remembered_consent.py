"""When no page is shown: the parameter `prompt`, and the requests that a remembered consent covers."""

import pytest

from support.oauth import REDIRECT_URI, Person, heading_of, returned
from support.server import Server


@pytest.fixture(scope="session")
def server(public: Server) -> Server:
    """A server whose issuer is not on loopback: browsers stay signed in between requests."""
    return public


CONSENT = (200, "Allow access?")

SIGN_IN = (200, "Sign in")

LOOPBACK = "http://127.0.0.1:3118/callback"

PRIVATE = "com.example.app:/callback"


async def test_prompt_none_without_a_consent_is_consent_required(ada: Person, client: str):
    assert returned(await ada.authorize(client, prompt="none"))["error"] == "consent_required"


async def test_a_remembered_consent_skips_the_page(ada: Person, client: str):
    await ada.code(client)
    assert "code" in returned(await ada.authorize(client))


async def test_a_remembered_consent_is_enough_for_prompt_none(ada: Person, client: str):
    await ada.code(client)
    assert "code" in returned(await ada.authorize(client, prompt="none"))


async def test_prompt_consent_asks_again(ada: Person, client: str):
    await ada.code(client)
    assert heading_of(await ada.asked(client, prompt="consent")) == CONSENT


async def test_a_wider_scope_than_was_allowed_needs_consent(ada: Person, client: str):
    await ada.code(client, scope="openid")
    assert heading_of(await ada.asked(client, scope="openid email")) == CONSENT


async def test_another_redirect_host_than_was_shown_needs_consent(ada: Person):
    other = "https://other.example/callback"
    client = (await ada.register(redirect_uris=[REDIRECT_URI, other]))["client_id"]
    await ada.code(client)
    assert heading_of(await ada.asked(client, redirect_uri=other)) == CONSENT


async def test_another_resource_than_was_allowed_needs_consent(two_resources: Server, member: Person):
    member.signs_in = True
    client = (await member.register())["client_id"]
    await member.code(client, resource="https://mcp.example")
    page = await member.asked(client, resource=f"{two_resources.origin}/notes/mcp")
    assert heading_of(page) == CONSENT


@pytest.mark.parametrize("redirect_uri", [LOOPBACK, PRIVATE])
async def test_consent_is_asked_again_where_any_program_may_be_the_client(ada: Person, redirect_uri: str):
    client = (await ada.register(redirect_uris=[redirect_uri]))["client_id"]
    await ada.code(client, redirect_uri=redirect_uri)
    assert heading_of(await ada.asked(client, redirect_uri=redirect_uri)) == CONSENT


async def test_a_client_can_request_a_new_sign_in(ada: Person, client: str):
    assert heading_of(await ada.asked(client, prompt="login")) == SIGN_IN


async def test_a_requested_new_sign_in_is_asked_for_once(person: Person):
    client = (await person.register())["client_id"]
    await person.sign_in(await person.asked(client))
    page = await person.asked(client, prompt="login")
    assert heading_of(await person.sign_in(page)) == CONSENT
