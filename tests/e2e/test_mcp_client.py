"""The official `mcp` client, unmodified, against a server in a process of its own, over TCP."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from grantledger import AuthorizationServer, Caller
from grantledger.entrypoints.demo.browser import Browser
from grantledger.entrypoints.demo.client import DemoClient
from grantledger.entrypoints.demo.demo_settings import demo_settings
from grantledger.entrypoints.demo.process import RunningServer, free_port, running_server
from support.oauth import Person
from support.real_clients import User, text
from support.server import EMAIL, PASSWORD
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = once("its servers make a SQLite file of their own")


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningServer]:
    with running_server(free_port(0), EMAIL, PASSWORD) as server:
        yield server
        assert "Traceback" not in server.output()


@pytest.fixture
async def user() -> AsyncIterator[User]:
    async with Browser() as browser:
        yield User(browser, email=EMAIL, password=PASSWORD)


@pytest.fixture
def client(demo: RunningServer, user: User) -> DemoClient:
    return DemoClient(f"{demo.origin}/mcp", user.visit)


@asynccontextmanager
async def connected_with(access_token: str, url: str, mode: str = "auto") -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {access_token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=TIMEOUT) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def test_a_client_that_knows_only_the_url_gets_to_call_the_tools(client, user):
    async with client.connected() as connection:
        tools = [tool.name for tool in (await connection.list_tools()).tools]
        assert tools == ["whoami", "add_todo", "delete_all_todos"]
        assert "allowed: todo:read" in text(await connection.call_tool("whoami"))
    assert user.visits == 1


async def test_a_client_asks_for_more_when_a_tool_needs_more_and_keeps_what_it_had(client, user):
    """The unmodified client completes a step-up: 403, the consent page, and the same call again."""
    async with client.connected() as connection:
        await connection.call_tool("whoami")
        assert client.storage.tokens.scope == "todo:read"
        client.traffic.forget()
        added = await connection.call_tool("add_todo", {"text": "feed the cat"})
        assert "feed the cat" in text(added)
        assert [exchange.status for exchange in client.traffic.to("/mcp")] == [403, 200]
        assert client.storage.tokens.scope == "todo:read todo:write"
        assert "allowed: todo:read todo:write" in text(await connection.call_tool("whoami"))
    assert user.visits == 2


async def test_a_client_whose_user_lacks_the_role_is_refused_and_asks_for_nothing(client, user):
    async with client.connected() as connection:
        with pytest.raises(MCPError, match="may not do this"):
            await connection.call_tool("delete_all_todos")
        assert not (await connection.call_tool("whoami")).is_error
    assert user.visits == 1


@pytest.mark.full
async def test_a_user_who_gets_the_role_is_asked_for_the_scope_and_may_call(demo, client, user):
    directory, port = demo.database.parent, urlsplit(demo.origin).port
    caller = Caller(correlation_id="test", operator="grace")
    async with client.connected() as connection:
        user_id = text(await connection.call_tool("whoami")).partition(",")[0]
        async with AuthorizationServer(demo_settings(port, directory)) as operator:
            await operator.use_cases.grant_role(user_id, "admin", caller)
            assert "nothing left" in text(await connection.call_tool("delete_all_todos"))
            await operator.use_cases.revoke_role(user_id, "admin", caller)
        with pytest.raises(MCPError, match="may not do this"):
            await connection.call_tool("delete_all_todos")
    assert user.visits == 2


async def test_a_client_keeps_its_tokens_for_the_next_connection(client, user):
    for _ in range(2):
        async with client.connected() as connection:
            assert not (await connection.call_tool("whoami")).is_error
    assert user.visits == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_either_protocol_version_may_call(demo, client, mode):
    async with client.connected():
        token = client.storage.tokens.access_token
    async with connected_with(token, f"{demo.origin}/mcp", mode) as connection:
        assert not (await connection.call_tool("whoami")).is_error


async def test_each_server_has_tokens_of_its_own(demo, client):
    async with client.connected():
        token = client.storage.tokens.access_token
    refused = pytest.RaisesExc(MCPError, match="not valid here")
    with pytest.RaisesGroup(refused, flatten_subgroups=True):
        async with connected_with(token, f"{demo.origin}/notes/mcp"):
            pass


async def test_a_tool_without_its_scope_says_which_one_is_missing(demo):
    """To a client that has no way to ask its user."""
    person = Person.at(demo.origin)
    registered = await person.register()
    tokens = await person.tokens(registered["client_id"], scope="todo:read", resource=f"{demo.origin}/mcp")
    async with connected_with(tokens["access_token"], f"{demo.origin}/mcp") as connection:
        assert not (await connection.call_tool("whoami")).is_error
        with pytest.raises(MCPError, match="needs the scopes todo:read todo:write"):
            await connection.call_tool("add_todo", {"text": "feed the cat"})
    await person.http.aclose()


async def test_a_client_whose_grant_was_revoked_asks_its_user_again(demo, client, user):
    async with client.connected() as connection:
        await connection.call_tool("whoami")
        before = client.storage.tokens
        async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
            form = {"token": before.refresh_token, "client_id": client.storage.client.client_id}
            assert (await http.post(f"{demo.origin}/revoke", data=form)).status_code == 200
        client.traffic.forget()
        assert not (await connection.call_tool("whoami")).is_error
    assert client.traffic.exchanges[0].status == 401
    assert user.visits == 2
    assert client.storage.tokens.access_token != before.access_token


async def test_after_an_outage_a_client_goes_on_with_its_tokens(demo, client, user):
    async with client.connected() as connection:
        await connection.call_tool("whoami")
        before = client.storage.tokens
        client.traffic.forget()
        with unreadable(demo.database), pytest.raises(MCPError, match="Keep the token and try again"):
            await connection.call_tool("whoami")
        assert {exchange.status for exchange in client.traffic.exchanges} == {503}
        assert not (await connection.call_tool("whoami")).is_error
    assert client.storage.tokens == before
    assert user.visits == 1


async def test_a_page_of_this_computer_may_call_and_another_may_not(demo, client):
    async with client.connected():
        token = client.storage.tokens.access_token
    async with httpx2.AsyncClient(base_url=demo.origin, timeout=TIMEOUT) as http:

        async def call(**headers: str) -> httpx2.Response:
            mcp = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
            return await http.post(
                "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers={**mcp, **headers}
            )

        inspector = await call(origin="http://localhost:6274")
        assert inspector.status_code == 200
        assert inspector.headers["access-control-allow-origin"] == "*"
        assert (await call(origin="https://evil.example")).status_code == 403
        rebound = {"host": "rebound.example:8434", "origin": "http://rebound.example:8434"}
        assert (await call(**rebound)).status_code == 403


@contextmanager
def unreadable(database: Path) -> Iterator[None]:
    """Take the table of grants away, as a broken disk would."""
    with closing(sqlite3.connect(database, TIMEOUT, isolation_level=None)) as other:
        other.execute("ALTER TABLE token_grant RENAME TO token_grant_away")
        try:
            yield
        finally:
            other.execute("ALTER TABLE token_grant_away RENAME TO token_grant")
