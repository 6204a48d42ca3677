"""The paths of Better Auth: off by default, complete, and for one MCP server each."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from support.oauth import Person, error_of, heading_of, query, returned
from support.server import Server, free_port, serving
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = once("is about guards, which know no store")

NOTES = "http://localhost:4000"
MAIL = "https://mail.example/mcp"
PATHS = json.dumps(
    [
        {"identifier": "https://first.example/mcp"},
        {"identifier": NOTES, "scopes": ["notes:read"], "better_auth_path": "/api/auth"},
        {"identifier": MAIL, "better_auth_path": "/mail/api/auth"},
    ]
)
ENDPOINTS = ("authorization", "registration", "token", "userinfo")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with paths of Better Auth for two MCP servers, neither of which is the default one."""
    with serving(tmp_path_factory.mktemp("better-auth"), resources=PATHS) as running:
        yield running


@pytest.fixture
async def person(both: Server) -> AsyncIterator[Person]:
    """A user whose clients know only the paths for the MCP server "notes"."""
    someone = Person.at(both.origin, base="/api/auth/mcp")
    yield someone
    await someone.http.aclose()


async def sessions(person: Person, token: str, root: str = "/api/auth") -> httpx2.Response:
    return await person.http.get(f"{root}/mcp/get-session", headers={"authorization": f"Bearer {token}"})


async def new_tokens(person: Person, **parameters: str) -> dict[str, Any]:
    return await person.tokens((await person.register())["client_id"], **parameters)


@pytest.mark.parametrize(
    "path",
    [
        *(f"/api/auth/mcp/{name}" for name in ("authorize", "register", "token", "get-session")),
        "/api/auth/.well-known/oauth-authorization-server",
        "/api/auth/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server/api/auth",
    ],
)
async def test_by_default_the_paths_do_not_exist(server: Server, path: str):
    async with httpx2.AsyncClient(base_url=server.origin, timeout=TIMEOUT, verify=False) as http:
        for answer in (await http.get(path), await http.post(path)):
            assert error_of(answer) == (404, "not_found")


# Discovery

FORMS = ["/.well-known/{name}/api/auth", "/api/auth/.well-known/{name}"]


@pytest.mark.parametrize("form", FORMS, ids=["path-inserted", "path-appended"])
@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
async def test_the_metadata_names_the_paths_and_their_issuer(
    both: Server, person: Person, form: str, name: str
):
    metadata = (await person.http.get(form.format(name=name))).json()
    issuer = f"{both.origin}/api/auth"
    names = ("issuer", "jwks_uri", *(f"{endpoint}_endpoint" for endpoint in ENDPOINTS))
    assert {name: metadata[name] for name in names} == {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/mcp/jwks",
        "authorization_endpoint": f"{issuer}/mcp/authorize",
        "registration_endpoint": f"{issuer}/mcp/register",
        "token_endpoint": f"{issuer}/mcp/token",
        "userinfo_endpoint": f"{issuer}/mcp/userinfo",
    }


async def test_every_endpoint_of_the_metadata_answers(person: Person):
    metadata = (await person.http.get("/api/auth/.well-known/oauth-authorization-server")).json()
    for name in [name for name in metadata if name.endswith(("_endpoint", "_uri"))]:
        get, post = await person.http.get(metadata[name]), await person.http.post(metadata[name])
        assert 404 not in (get.status_code, post.status_code), name


async def test_the_metadata_of_the_mcp_server_names_the_issuer_of_its_path(both: Server, person: Person):
    answer = await person.http.get("/mail/api/auth/.well-known/oauth-protected-resource")
    assert answer.json() == {
        "resource": MAIL,
        "authorization_servers": [f"{both.origin}/mail/api/auth"],
        "bearer_methods_supported": ["header"],
    }


async def test_the_servers_own_metadata_is_unchanged(both: Server, person: Person):
    metadata = (await person.http.get("/.well-known/oauth-authorization-server")).json()
    assert (metadata["issuer"], metadata["token_endpoint"]) == (both.origin, f"{both.origin}/token")


# The flow


async def test_a_token_of_the_flow_has_a_session_without_a_refresh_token(person: Person):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client, scope="openid notes:read")
    answer = await sessions(person, tokens["access_token"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    session = answer.json()
    assert session.pop("userId").startswith("glu_")
    assert session.pop("accessTokenExpiresAt").endswith(".000Z")
    assert session == {
        "accessToken": tokens["access_token"],
        "clientId": client,
        "scopes": "openid notes:read",
    }


async def test_a_token_of_the_servers_own_endpoints_has_a_session_too(both: Server, person: Person):
    elsewhere = Person.at(both.origin)
    async with elsewhere.http:
        tokens = await new_tokens(elsewhere, resource=NOTES)
    assert (await sessions(person, tokens["access_token"])).json()["userId"]


async def test_a_request_without_resource_is_for_the_mcp_server_of_the_path(person: Person):
    tokens = await new_tokens(person)
    assert (await person.http.get("/session", headers=bearer(tokens), params={"resource": NOTES})).is_success


async def test_responses_of_the_paths_have_their_issuer(both: Server, person: Person):
    client = (await person.register())["client_id"]
    issuer = f"{both.origin}/api/auth"
    assert returned(await person.authorize(client, prompt="none"))["iss"] == issuer  # refused at once
    assert returned(await person.authorize(client, response_type="token"))["iss"] == issuer
    consent = await person.sign_in(await person.asked(client))
    assert returned(await person.submit(consent, "consent", decision="deny"))["iss"] == issuer
    consent = await person.sign_in(await person.asked(client))
    assert returned(await person.submit(consent, "consent", decision="allow"))["iss"] == issuer


async def test_id_tokens_of_the_paths_have_their_issuer(both: Server, person: Person):
    tokens = await new_tokens(person, scope="openid")
    claims = tokens["id_token"].split(".")[1]
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert decoded["iss"] == f"{both.origin}/api/auth"


async def test_a_posted_request_stays_at_the_paths(person: Person):
    asked = query((await person.register())["client_id"])
    answer = await person.http.post(
        "/api/auth/mcp/authorize", data={**asked, "issuer": "https://evil.example"}
    )
    location = answer.headers["location"]
    assert location.startswith("/api/auth/mcp/authorize?")
    assert "evil.example" not in location


async def test_a_mistake_at_the_paths_is_shown_as_a_page(person: Person):
    status, heading = heading_of(await person.authorize("glc_unknown"))
    assert (status, heading) == (400, "This application is not known here")


async def test_userinfo_and_keys_are_those_of_the_server(person: Person):
    tokens = await new_tokens(person, scope="openid email")
    answers = [
        (await person.http.get(f"{root}/{endpoint}", headers=bearer(tokens))).json()
        for endpoint in ("userinfo", "jwks")
        for root in ("/api/auth/mcp", "")
    ]
    assert answers[::2] == answers[1::2]
    assert set(answers[0]) == {"sub", "email", "email_verified"}
    assert set(answers[2]) == {"keys"}


async def test_a_body_beyond_the_limit_is_refused_at_the_paths_too(person: Person):
    form = {"content-type": "application/x-www-form-urlencoded"}
    for endpoint in ("register", "token"):
        answer = await person.http.post(f"/api/auth/mcp/{endpoint}", content=b"x" * 65_537, headers=form)
        assert error_of(answer) == (413, "invalid_request"), endpoint


# Sessions


async def test_a_token_for_another_mcp_server_has_no_session(person: Person):
    tokens = await new_tokens(person, resource=MAIL)
    assert is_null(await sessions(person, tokens["access_token"]))
    assert not is_null(await sessions(person, tokens["access_token"], "/mail/api/auth"))


async def test_without_a_good_access_token_the_session_is_null(person: Person):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    assert is_null(await person.http.get("/api/auth/mcp/get-session"))
    assert is_null(await sessions(person, "unknown"))
    assert is_null(await sessions(person, "two tokens"))
    assert is_null(await sessions(person, tokens["refresh_token"]))
    await person.http.post("/revoke", data={"client_id": client, "token": tokens["refresh_token"]})
    assert is_null(await sessions(person, tokens["access_token"]))


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        ("mcp/get-session", True),
        ("mcp/token", True),
        ("mcp/register", True),
        (".well-known/oauth-authorization-server", True),
        ("mcp/authorize", False),
    ],
)
async def test_scripts_may_call_everything_except_the_pages(person: Person, path: str, *, shared: bool):
    answer = await person.http.get(f"/api/auth/{path}", headers={"origin": "http://localhost:6274"})
    assert ("access-control-allow-origin" in answer.headers) is shared


# A server whose issuer has the same path


@pytest.mark.full  # starts a server
async def test_the_issuer_may_be_at_the_same_path(tmp_path_factory: pytest.TempPathFactory):
    port = free_port()
    issuer = f"http://127.0.0.1:{port}/api/auth"
    resources = json.dumps([{"identifier": NOTES, "better_auth_path": "/api/auth"}])
    directory = tmp_path_factory.mktemp("same-path")
    with serving(directory, port=port, issuer=issuer, resources=resources) as running:
        person = Person.at(running.origin, base="/api/auth/mcp")
        async with person.http:
            metadata = await person.http.get("/.well-known/oauth-authorization-server/api/auth")
            tokens = await new_tokens(person)
            session = await sessions(person, tokens["access_token"])
    assert (metadata.json()["issuer"], metadata.json()["token_endpoint"]) == (issuer, f"{issuer}/token")
    assert session.json()["userId"]


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens['access_token']}"}


def is_null(answer: httpx2.Response) -> bool:
    assert answer.status_code == 200
    return answer.content == b"null"
