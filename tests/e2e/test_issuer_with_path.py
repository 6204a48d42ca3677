"""A server whose issuer has a path: everything is under it, and its metadata is found outside of it too."""

import re
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from support.oauth import Person, error_of, returned
from support.pages import cookies_set
from support.server import EMAIL, PASSWORD, Server, free_port, serving


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    directory = tmp_path_factory.mktemp("tenant")
    with serving(directory, port=port, issuer=f"http://127.0.0.1:{port}/t1") as running:
        yield running


@pytest.fixture
async def person(tenant: Server) -> AsyncIterator[Person]:
    someone = Person.at(tenant.origin, base="/t1")
    yield someone
    await someone.http.aclose()


FORMS = [
    "/.well-known/{name}",
    "/.well-known/{name}/t1",
    "/t1/.well-known/{name}",
]


@pytest.mark.parametrize("form", FORMS, ids=["at the root", "path-inserted", "path-appended"])
@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
async def test_the_metadata_is_found_in_every_form(tenant: Server, person: Person, form: str, name: str):
    metadata = (await person.http.get(form.format(name=name))).json()
    assert metadata["issuer"] == tenant.issuer
    assert {url for member, url in metadata.items() if member.endswith("_endpoint")} == {
        f"{tenant.issuer}/{endpoint}"
        for endpoint in ("authorize", "token", "register", "revoke", "introspect", "userinfo")
    }


@pytest.mark.parametrize("path", ["", "/t1/mcp"], ids=["at the root", "path-inserted"])
async def test_the_metadata_of_the_resource_is_found(tenant: Server, person: Person, path: str):
    metadata = (await person.http.get(f"/.well-known/oauth-protected-resource{path}")).json()
    assert metadata["resource"] == f"{tenant.issuer}/mcp"
    assert metadata["authorization_servers"] == [tenant.issuer]


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server/t2",
        "/.well-known/openid-configuration/t1/deeper",
        "/.well-known/oauth-protected-resource/t1",
        "/t1/.well-known/oauth-protected-resource",
        "/t2/.well-known/openid-configuration",
        "/t1/.well-known/oauth-unknown",
    ],
)
async def test_other_metadata_is_404_as_json(person: Person, path: str):
    assert error_of(await person.http.get(path)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/authorize", "/token", "/register", "/revoke", "/session"])
async def test_outside_of_the_path_nothing_answers(person: Person, path: str):
    for answer in (await person.http.get(path), await person.http.post(path)):
        assert error_of(answer) == (404, "not_found")


async def test_the_flow_stays_under_the_path(person: Person):
    client = (await person.register())["client_id"]
    start = await person.authorize(client)
    sign_in = await person.followed(start)
    assert start.headers["location"].startswith("/t1/authorize/")
    assert f'action="{start.headers["location"]}/sign-in"' in sign_in.text
    assert 'href="/t1/authorize/assets/page.css' in sign_in.text
    signed_in = await person.post(sign_in, "sign-in", email=EMAIL, password=PASSWORD)
    transaction = start.headers["location"].rpartition("/")[2]
    assert re.fullmatch(f"/t1/authorize/s/[A-Za-z0-9_-]{{22}}/{transaction}", signed_in.headers["location"])


async def test_the_stylesheet_is_under_the_path(person: Person):
    assert (await person.http.get("/t1/authorize/assets/page.css")).status_code == 200


async def test_the_flow_works(tenant: Server, person: Person):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    refreshed = (await person.refresh(client, tokens["refresh_token"])).json()
    session = await person.session(refreshed["access_token"], resource=f"{tenant.issuer}/mcp")
    assert session.status_code == 200
    assert (await person.revoke(client, refreshed["refresh_token"])).status_code == 200
    assert (await person.session(refreshed["access_token"])).status_code == 401


async def test_redirects_name_the_issuer_with_its_path(tenant: Server, person: Person):
    client = (await person.register())["client_id"]
    assert returned(await person.authorize(client, prompt="none"))["iss"] == tenant.issuer


async def test_cookies_carry_the_path_of_the_pages(person: Person):
    client = (await person.register())["client_id"]
    start = await person.authorize(client)
    signed_in = await person.post(await person.followed(start), "sign-in", email=EMAIL, password=PASSWORD)
    session = signed_in.headers["location"].rpartition("/")[0]
    assert paths_of(start) == {start.headers["location"]}
    assert paths_of(signed_in) == {session}


def paths_of(answer: httpx2.Response) -> set[str]:
    return {morsel["path"] for morsel in cookies_set(answer).values()}


async def test_the_challenge_names_metadata_that_is_there(tenant: Server, person: Person):
    answer = await person.http.get("/t1/session")
    url = f"{tenant.origin}/.well-known/oauth-protected-resource/t1/mcp"
    assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{url}"'
    assert (await person.http.get(url)).status_code == 200


@pytest.mark.parametrize("path", ["/t1/token", "/t1/register", "/t1/revoke", "/t1/session"])
async def test_scripts_may_call_the_endpoints(person: Person, path: str):
    answer = await person.http.options(path, headers={"access-control-request-method": "POST"})
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/t1/authorize", "/t1/authorize/.well-known/"])
async def test_scripts_may_not_read_the_pages(person: Person, path: str):
    assert "access-control-allow-origin" not in (await person.http.get(path)).headers


async def test_the_pages_under_the_path_are_refused_as_redirect_uris(person: Person):
    asked = {"redirect_uris": ["http://127.0.0.1:9/t1/authorize/x"]}
    answer = await person.http.post("/t1/register", json=asked)
    assert error_of(answer) == (400, "invalid_redirect_uri")


async def test_a_redirect_uri_where_pages_would_be_without_the_path_is_allowed(person: Person):
    client = await person.register(redirect_uris=["http://127.0.0.1:9/authorize/x"])
    assert client["redirect_uris"] == ["http://127.0.0.1:9/authorize/x"]
