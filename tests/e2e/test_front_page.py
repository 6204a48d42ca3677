"""The page at `/`: what the server is, for people and for programs."""

import re

import httpx2
import pytest

from support.oauth import Person, heading_of
from support.server import Server, free_port, serving
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = once("is answered before the store is asked")

FRONT = (200, "Authorization server")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SPECIFICATION = "https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization"


def links_of(page: httpx2.Response) -> list[str]:
    return re.findall(r'<a href="([^"]+)"', page.text)


async def test_the_front_page_names_the_resources_and_links_to_account_and_documentation(
    server: Server, person: Person
):
    page = await person.http.get("/", headers={"accept": BROWSER})
    assert heading_of(page) == FRONT
    assert f"{server.origin}/mcp" in page.text
    metadata = f"{server.origin}/.well-known/oauth-authorization-server"
    assert links_of(page) == ["/authorize/account", SPECIFICATION, metadata]


async def test_the_links_of_the_front_page_lead_to_pages(person: Person):
    account, _, metadata = links_of(await person.http.get("/"))
    assert heading_of(await person.http.get(account)) == (200, "Sign in")
    assert (await person.http.get(metadata)).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/event-stream"])
async def test_a_client_that_asks_for_json_gets_json(server: Server, person: Person, accept: str):
    answer = await person.http.get("/", headers={"accept": accept})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "issuer": server.origin,
        "account": f"{server.origin}/authorize/account",
        "metadata": f"{server.origin}/.well-known/oauth-authorization-server",
        "documentation": SPECIFICATION,
    }


@pytest.mark.parametrize("accept", ["*/*", BROWSER, "text/event-stream", ";;;", ""])
async def test_a_client_that_does_not_ask_for_json_gets_the_page(person: Person, accept: str):
    answer = await person.http.get("/", headers={"accept": accept})
    assert heading_of(answer) == FRONT
    assert answer.headers["vary"] == "accept"


async def test_no_form_can_be_posted_to_the_front_page(person: Person):
    assert (await person.http.post("/")).status_code == 405


async def test_the_front_page_is_at_the_path_of_the_issuer_and_names_its_documentation(tmp_path):
    """Also with a slash: nginx redirects `/auth` there if the location is `/auth/`."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}/auth"
    settings = {"issuer": issuer, "service_documentation": "https://docs.example/?a=1&b=2"}
    with serving(tmp_path, port=port, **settings) as server:
        async with httpx2.AsyncClient(base_url=server.origin, timeout=TIMEOUT, verify=False) as http:
            pages = [await http.get(path) for path in ("/auth", "/auth/")]
            described = (await http.get("/auth", headers={"accept": "application/json"})).json()
            metadata = (await http.get(described["metadata"])).json()
            elsewhere = await http.get("/")
    assert [heading_of(page) for page in pages] == [FRONT, FRONT]
    assert links_of(pages[0])[:2] == ["/auth/authorize/account", "https://docs.example/?a=1&amp;b=2"]
    documentation = {described["documentation"], metadata["service_documentation"]}
    assert documentation == {"https://docs.example/?a=1&b=2"}
    assert elsewhere.status_code == 404
