"""`McpAuthClient` against `grantledger serve` in another process, over TCP."""

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest

from grantledger import McpAuthClient, current_session, with_mcp_auth
from support.hosting import hosting
from support.oauth import Person
from support.server import EMAIL, Server, free_port, serving
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = once("is about guards, which know no store")


async def whoami(scope: Any, receive: Any, send: Any) -> None:
    """An application behind the guard: answers who calls."""
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    session = current_session()
    assert session is not None
    assert session.user is not None
    body = f"{session.user.email} {session.client_id}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def guarded(server: Server, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve `whoami` behind a guard that asks `server`."""
    async with (
        McpAuthClient(issuer=server.issuer, resource=f"{server.issuer}/mcp", **options) as auth,
        hosting(with_mcp_auth(whoami, auth), free_port()) as origin,
        httpx2.AsyncClient(base_url=origin, timeout=TIMEOUT, verify=False) as http,
    ):
        yield http


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens['access_token']}"}


async def test_a_guard_on_another_machine_knows_the_caller(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid email")
    async with guarded(server) as http:
        answer = await http.post("/mcp", headers=bearer(tokens))
    assert answer.status_code == 200
    assert answer.text == f"{EMAIL} {client}"


async def test_a_guard_on_another_machine_refuses_what_was_revoked(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid email")
    async with guarded(server, cache_seconds=0) as http:
        assert (await http.post("/mcp")).status_code == 401
        assert (await http.post("/mcp", headers={"authorization": "Bearer glat_x"})).status_code == 401
        assert (await http.post("/mcp", headers=bearer(tokens))).status_code == 200
        await ada.revoke(client, tokens["access_token"])
        refused = await http.post("/mcp", headers=bearer(tokens))
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


async def test_a_token_for_another_resource_is_refused(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid email")
    async with McpAuthClient(issuer=server.issuer, resource="https://other.example/mcp") as auth:
        assert await auth.verify_token(tokens["access_token"]) is None


async def test_discovery_leads_a_client_from_the_mcp_server_to_the_issuer(server: Server):
    async with guarded(server, scopes=("notes:read",)) as http:
        refused = await http.post("/mcp")
        resource = (await http.get("/.well-known/oauth-protected-resource/mcp")).json()
        found = (await http.get("/.well-known/oauth-authorization-server")).json()
        openid = (await http.get("/.well-known/openid-configuration")).json()
    assert 'scope="notes:read"' in refused.headers["www-authenticate"]
    assert resource["authorization_servers"] == [server.issuer]
    assert found["issuer"] == openid["issuer"] == server.issuer


async def test_while_the_issuer_is_down_tokens_are_503_and_discovery_still_answers(tmp_path):
    with ExitStack() as running:
        server = running.enter_context(serving(tmp_path))
        person = Person.at(server.origin)
        async with person.http:
            client = (await person.register())["client_id"]
            tokens = await person.tokens(client, scope="openid email")
        async with guarded(server, cache_seconds=0) as http:
            assert (await http.post("/mcp", headers=bearer(tokens))).status_code == 200
            assert (await http.get("/.well-known/oauth-authorization-server")).status_code == 200
            running.close()
            answer = await http.post("/mcp", headers=bearer(tokens))
            document = await http.get("/.well-known/oauth-authorization-server")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert document.json()["issuer"] == server.issuer


@pytest.fixture
def credentials(resource_server: tuple[str, str]) -> dict[str, Any]:
    """What `grantledger resource add` prints for the server of the default resource."""
    return dict(zip(("client_id", "client_secret"), resource_server, strict=True))


async def test_introspection_gives_the_same_session_as_a_look_up(
    server: Server, ada: Person, client: str, credentials: dict[str, Any]
):
    token = (await ada.tokens(client, scope="openid email"))["access_token"]
    resource = f"{server.issuer}/mcp"
    async with (
        McpAuthClient(issuer=server.issuer, resource=resource) as asking,
        McpAuthClient(
            issuer=server.issuer, resource=resource, verify="introspection", **credentials
        ) as introspecting,
    ):
        looked_up, introspected = await asking.verify_token(token), await introspecting.verify_token(token)
    assert looked_up is not None
    assert introspected is not None
    for name in ("access_token", "expires_at", "client_id", "user_id", "user", "scopes", "resource"):
        assert getattr(introspected, name) == getattr(looked_up, name)


async def test_wrong_credentials_of_the_resource_are_503_and_not_401(
    server: Server, ada: Person, client: str
):
    tokens = await ada.tokens(client, scope="openid email")
    wrong = {"verify": "introspection", "client_id": "glr_unknown", "client_secret": "wrong"}
    async with guarded(server, **wrong) as http:
        assert (await http.post("/mcp", headers=bearer(tokens))).status_code == 503


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_a_jwt_is_verified_with_the_keys_of_the_issuer(tmp_path, algorithm: str):
    resource = "https://mcp.example/mcp"
    resources = json.dumps([{"identifier": resource, "jwt": algorithm, "scopes": ["notes:read"]}])
    with ExitStack() as running:
        server = running.enter_context(serving(tmp_path, resources=resources))
        person = Person.at(server.origin)
        async with person.http:
            client = (await person.register())["client_id"]
            scope = "openid email notes:read"
            tokens = await person.tokens(client, scope=scope, resource=resource)
        async with McpAuthClient(
            issuer=server.issuer, resource=resource, verify="jwt", cache_seconds=0
        ) as auth:
            session = await auth.verify_token(tokens["access_token"])
            running.close()  # from here on the guard has only the keys that it has fetched
            again = await auth.verify_token(tokens["access_token"])
    assert session is not None
    assert session == again
    assert (session.client_id, session.scopes) == (client, ("openid", "email", "notes:read"))
