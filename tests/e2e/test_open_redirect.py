"""RFC 9700 section 4.11.2: a link to this server does not lead to any site that an attacker chooses."""

import html
import re
from typing import Any

import httpx2
import pytest

from support.oauth import Person, heading_of, returned
from support.server import Server
from support.stores import once

pytestmark = once("is answered before the store is asked")

EVIL = "https://evil.example/"
LEAVE = (400, "The application cannot go on")

UNASKED: dict[str, dict[str, str | None]] = {
    "an error": {"scope": "unknown"},
    "an unsupported response type": {"response_type": "token"},
    "no page allowed": {"prompt": "none"},
}


@pytest.fixture(scope="session")
def server(public: Server) -> Server:
    """A server whose issuer is not on loopback: browsers stay signed in between requests."""
    return public


async def answered(person: Person, redirect_uri: str, **parameters: Any) -> httpx2.Response:
    client = (await person.register(redirect_uris=[redirect_uri]))["client_id"]
    return await person.followed(await person.authorize(client, redirect_uri=redirect_uri, **parameters))


def link_of(page: httpx2.Response) -> str:
    (found,) = re.findall(r'<a href="([^"]+)" rel="noreferrer">', page.text)
    return html.unescape(found)


@pytest.mark.parametrize("parameters", UNASKED.values(), ids=UNASKED)
@pytest.mark.parametrize("redirect_uri", [EVIL, "com.evil.app:/x", "vscode://ms-vscode.remote/open"])
async def test_an_unknown_address_is_named_and_not_redirected_to(
    person: Person, redirect_uri: str, parameters: dict[str, str | None]
):
    page = await answered(person, redirect_uri, **parameters)
    assert heading_of(page) == LEAVE
    assert link_of(page).startswith(f"{redirect_uri}?error=")


async def test_the_page_names_the_host_and_says_that_it_is_unverified(person: Person):
    page = await answered(person, EVIL, scope="unknown")
    assert '<bdi dir="ltr">evil.example</bdi>' in page.text
    assert "Nobody here has checked who is behind this address." in page.text


async def test_following_the_link_sends_the_error_to_the_client(server: Server, person: Person):
    page = await answered(person, EVIL, scope="unknown")
    target = httpx2.URL(link_of(page))
    assert dict(target.params)["error"] == "invalid_scope"
    assert dict(target.params)["iss"] == server.issuer
    assert dict(target.params)["state"] == "the-state"


async def test_no_site_learns_whether_its_visitor_is_signed_in(ada: Person, stranger: Person):
    """Signed in or not, the browser stays here: `prompt=none` gets a page that differs only in its reason."""
    pages = [await answered(visitor, EVIL, prompt="none") for visitor in (ada, stranger)]
    assert [heading_of(page) for page in pages] == [LEAVE, LEAVE]


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://claude.ai/api/mcp/auth_callback",
        "https://chatgpt.com/connector/oauth/a1B2c3D4e5",
        "https://vscode.dev/redirect",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "http://127.0.0.1:33418/callback",
        "http://localhost/callback",
    ],
)
async def test_well_known_clients_and_programs_on_this_machine_are_redirected_to(
    person: Person, redirect_uri: str
):
    answer = await answered(person, redirect_uri, scope="unknown")
    assert returned(answer)["error"] == "invalid_scope"


async def test_a_client_that_its_user_has_consented_to_is_redirected_to(ada: Person, stranger: Person):
    client = (await ada.register(redirect_uris=[EVIL]))["client_id"]
    await ada.code(client, redirect_uri=EVIL)
    asked = {"redirect_uri": EVIL, "scope": "unknown"}
    assert returned(await ada.authorize(client, **asked))["error"] == "invalid_scope"
    assert heading_of(await stranger.authorize(client, **asked)) == LEAVE
    assert returned(await ada.authorize(client, redirect_uri=EVIL, prompt="none"))["code"]


async def test_denying_consent_counts_as_a_click(ada: Person):
    client = (await ada.register(redirect_uris=[EVIL]))["client_id"]
    page = await ada.asked(client, redirect_uri=EVIL)
    answer = returned(await ada.submit(page, "consent", decision="deny"))
    assert answer["error"] == "access_denied"
