"""FastMCP, server and client, with our token verifier in its `RemoteAuthProvider`, over HTTP."""

import asyncio
import webbrowser
from collections.abc import AsyncIterator, Callable
from typing import cast

import fastmcp
import httpx2
import pytest
from fastmcp.client.auth import OAuth
from fastmcp.server.auth import RemoteAuthProvider, TokenVerifier
from fastmcp.server.dependencies import get_access_token
from pydantic import AnyHttpUrl

from grantledger import AuthorizationServer, Caller, ProtectedResource, Settings
from grantledger.adapters.asgi_types import ASGIApp
from support.hosting import hosting
from support.oauth import Person
from support.server import EMAIL, PASSWORD, free_port
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore:Using in-memory token storage"),
    once("its servers make a SQLite file of their own"),
]


@pytest.fixture
async def server(tmp_path) -> AuthorizationServer:
    port = free_port()
    settings = Settings(
        database=str(tmp_path / "grantledger.sqlite3"),
        port=port,
        resources=(ProtectedResource(f"http://127.0.0.1:{port}/mcp", "Notes", ("notes:write",)),),
    )
    made = AuthorizationServer(settings)
    async with made:
        await made.use_cases.open_account(EMAIL, PASSWORD, Caller(correlation_id="test"))
    return made


def notes(server: AuthorizationServer) -> fastmcp.FastMCP:
    auth = RemoteAuthProvider(
        token_verifier=cast("TokenVerifier", server.token_verifier()),  # by its methods
        authorization_servers=[AnyHttpUrl(server.issuer)],
        base_url=server.issuer,
    )
    made: fastmcp.FastMCP = fastmcp.FastMCP("Notes", auth=auth)

    @made.tool
    def whoami() -> str:
        token = get_access_token()
        assert token is not None
        return f"{token.subject} through {token.client_id}, allowed: {' '.join(token.scopes)}"

    return made


def mounted(server: AuthorizationServer) -> ASGIApp:
    app = notes(server).http_app(path="/mcp", stateless_http=True)
    return server.app([server.mount(app, lifespan=lambda: app.router.lifespan_context(app))])


def behind_the_server(server: AuthorizationServer) -> ASGIApp:
    """Return a server without our guard: FastMCP itself refuses requests without a token."""
    return server.in_front_of(notes(server).http_app(path="/mcp", stateless_http=True))


@pytest.fixture(params=[mounted, behind_the_server])
async def origin(request, server) -> AsyncIterator[str]:
    make: Callable[[AuthorizationServer], ASGIApp] = request.param
    async with hosting(make(server), server.settings.port) as origin:
        yield origin


@pytest.fixture
async def user(origin, monkeypatch) -> AsyncIterator[Person]:
    """A user whose browser opens what FastMCP's client asks for, signs in and allows."""
    person = Person.at(origin)
    visits: list[asyncio.Task[None]] = []

    async def visit(url: str) -> None:
        consent = await person.sign_in(await person.followed(await person.http.get(url)))
        arrived = await person.submit(consent, "consent", decision="allow")
        await follow(arrived.headers["location"])

    def open_browser(url: str) -> bool:
        visits.append(asyncio.get_running_loop().create_task(visit(url)))
        return True

    monkeypatch.setattr(webbrowser, "open", open_browser)
    yield person
    await asyncio.gather(*visits)
    await person.http.aclose()


async def follow(callback: str) -> None:
    """Open the client's redirect URI. The client starts to listen only after it has opened the browser."""
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=TIMEOUT) as http:
        while True:
            try:
                await http.get(callback)
            except httpx2.ConnectError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_fastmcp_client_that_knows_only_the_url_calls_a_fastmcp_server(origin, user):
    async with fastmcp.Client(f"{origin}/mcp", auth=OAuth(scopes=["notes:write"])) as client:
        said = (await client.call_tool("whoami")).data
    assert said.startswith("glu_")
    assert said.endswith("allowed: notes:write")


async def test_a_fastmcp_server_refuses_a_token_that_is_not_ours(origin):
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=TIMEOUT) as http:
        answer = await http.post(f"{origin}/mcp", headers={"Authorization": "Bearer glat_unknown"})
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert 'error="invalid_token"' in challenge
    assert f'resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp"' in challenge


async def test_a_fastmcp_server_offers_the_scopes_of_its_resource(server):
    auth = notes(server).auth
    assert auth is not None
    assert (auth.scopes_supported, auth.required_scopes) == (["notes:write"], [])


async def test_a_mounted_fastmcp_server_answers_browsers_at_its_public_host(tmp_path):
    issuer = "https://mcp.example.com"
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="
    database = str(tmp_path / "grantledger.sqlite3")
    public = AuthorizationServer(
        Settings(issuer=issuer, master_secret=(secret,), database=database, port=free_port())
    )
    async with public:
        await public.use_cases.open_account(EMAIL, PASSWORD, Caller(correlation_id="test"))
    async with hosting(mounted(public), public.settings.port) as origin:
        person = Person.at(origin)
        tokens = await person.tokens((await person.register())["client_id"])
        headers = {
            "host": "mcp.example.com",
            "origin": "https://inspector.example",
            "authorization": f"Bearer {tokens['access_token']}",
            "accept": "application/json, text/event-stream",
        }
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "whoami", "arguments": {}},
        }
        answer = await person.http.post("/mcp", json=call, headers=headers)
        await person.http.aclose()
    assert answer.status_code == 200
    assert "glu_" in answer.text
