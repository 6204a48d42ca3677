"""`@requires` on tools, prompts and resources of the `mcp` SDK and of FastMCP, over HTTP and without it."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import fastmcp
import httpx2
import pytest
from fastmcp.server.providers.addressing import hashed_backend_name
from fastmcp.server.transforms.search import BM25SearchTransform
from fastmcp.tools import Tool
from mcp import Client, StdioServerParameters, stdio_client
from mcp.server.mcpserver import MCPServer
from mcp.types import TextContent
from msgspec import Struct
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route

from grantledger import acting_as, fastmcp_auth, require_scope, requires, with_mcp_auth
from grantledger.adapters.guards import components
from grantledger.adapters.guards.source import GuardedResource
from support.guarding import RESOURCE, SESSION, guarded

READER = replace(SESSION, scopes=("todo:read",))
SCOPE = {"type": "http", "method": "POST", "path": "/mcp", "root_path": "", "headers": []}
HEADERS = {"authorization": "Bearer good", "accept": "application/json, text/event-stream"}


class Auth(Struct):
    """An `McpAuth` that accepts every token, and returns `session` for it."""

    session: Any = READER

    def guarded_resource(self, resource: str | None = None) -> GuardedResource:
        return guarded(self._verify)

    async def _verify(self, access_token: str, *, resource: str | None = None) -> Any:
        return replace(self.session, access_token=access_token)

    def in_front_of(self, app: Any) -> Any:
        return app


def with_tools(server: Any) -> Any:
    """Add the same tools to a server of the SDK or of FastMCP. Both have the same decorators."""

    @server.tool()
    def read_todos() -> str:
        return "water the plants"

    @server.tool(name="add")
    @requires("todo:write", "mail:send")
    def add_todo(text: str) -> str:
        return f"added {text}"

    @server.tool()
    @requires(roles="admin")
    async def delete_all() -> str:
        return "deleted"

    @server.tool()
    @requires()
    def share(with_all: bool) -> str:
        if with_all:
            require_scope("todo:share")
        return "shared"

    @server.prompt()
    @requires("todo:write")
    def plan() -> str:
        return "Plan my day"

    @server.resource("todo://list")
    @requires("todo:write")
    def todo_list() -> str:
        return "water the plants"

    @server.resource("todo://{number}")
    @requires("todo:write")
    def one_todo(number: str) -> str:
        return number

    return server


def of_sdk(auth: Auth, **options: Any) -> tuple[Any, Any]:
    app = with_tools(MCPServer("Todo")).streamable_http_app(stateless_http=True, json_response=True)
    return app, with_mcp_auth(app, auth, **options)


def of_sdk_mounted(auth: Auth, **options: Any) -> tuple[Any, Any]:
    app = with_tools(MCPServer("Todo")).streamable_http_app(stateless_http=True, json_response=True)
    return app, with_mcp_auth(Starlette(routes=[Mount("/", app=app)]), auth, **options)


def of_fastmcp(auth: Auth, **options: Any) -> tuple[Any, Any]:
    app = with_tools(fastmcp.FastMCP("Todo")).http_app(stateless_http=True, json_response=True)
    return app, with_mcp_auth(app, auth, **options)


def of_fastmcp_auth(auth: Auth, **options: Any) -> tuple[Any, Any]:
    server: fastmcp.FastMCP = fastmcp.FastMCP("Todo", auth=fastmcp_auth(auth, **options))
    app = with_tools(server).http_app(stateless_http=True, json_response=True)
    return app, app


SERVERS = (of_sdk, of_sdk_mounted, of_fastmcp, of_fastmcp_auth)
every_server = pytest.mark.parametrize("make", SERVERS)


class Running(Struct):
    http: httpx2.AsyncClient

    async def ask(self, method: str, **params: Any) -> httpx2.Response:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.http.post("/mcp", json=message)

    async def call(self, tool: str, **arguments: Any) -> httpx2.Response:
        return await self.ask("tools/call", name=tool, arguments=arguments)


@asynccontextmanager
async def running(make: Any, auth: Auth | None = None, **options: Any) -> AsyncIterator[Running]:
    app, guard = make(auth or Auth(), **options)
    transport = httpx2.ASGITransport(app=guard)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=HEADERS) as http,
    ):
        yield Running(http)


@every_server
async def test_a_call_without_the_scopes_is_403_with_all_of_them(make):
    async with running(make) as server:
        refused = await server.call("add", text="x")
    assert refused.status_code == 403
    assert 'scope="todo:read todo:write mail:send"' in refused.headers["www-authenticate"]


async def test_a_refused_call_says_that_no_client_can_get_its_scope(caplog):
    server, unknown = MCPServer("Todo"), f"todo:{uuid4().hex}"

    @server.tool()
    @requires(unknown)
    def add() -> str:
        return "added"

    class Offering(Auth):
        def guarded_resource(self, resource: str | None = None) -> GuardedResource:
            return replace(super().guarded_resource(resource), offered_scopes=frozenset({"todo:read"}))

    def make(auth: Auth) -> tuple[Any, Any]:
        app = server.streamable_http_app(stateless_http=True, json_response=True)
        return app, with_mcp_auth(app, auth)

    async with running(make, Offering()) as running_server:
        assert (await running_server.call("add")).status_code == 403
    assert f"no client can get the scope '{unknown}' for {RESOURCE}" in caplog.text


@every_server
async def test_a_call_that_needs_nothing_or_has_all_runs(make):
    writer = replace(SESSION, scopes=("todo:write", "mail:send"))
    async with running(make, Auth(writer)) as server:
        assert "water" in (await server.call("read_todos")).text
        assert "added x" in (await server.call("add", text="x")).text


@every_server
async def test_a_call_without_the_role_is_403_without_a_challenge(make):
    async with running(make) as server:
        refused = await server.call("delete_all")
    assert (refused.status_code, refused.headers.get("www-authenticate")) == (403, None)


@every_server
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("prompts/get", {"name": "plan"}),
        ("resources/read", {"uri": "todo://list"}),
        ("resources/read", {"uri": "todo://7"}),
    ],
)
async def test_prompts_and_resources_are_403_as_well(make, method, params):
    async with running(make) as server:
        assert (await server.ask(method, **params)).status_code == 403


class Wrapper:
    """Middleware of no framework. It keeps its application as `app`, as most middleware does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def same(app: Any) -> Any:
    return app


def mounted(app: Any) -> Any:
    return Starlette(routes=[Mount("/", app=Wrapper(app))])


def mounted_by_routes(app: Any) -> Any:
    return Starlette(routes=[Mount("/", routes=app.routes)])


@pytest.mark.parametrize("around", [same, Wrapper, mounted, mounted_by_routes])
def test_requires_above_the_decorator_of_the_sdk_is_a_value_error(around):
    sdk = MCPServer("Todo")

    @requires("todo:write")
    @sdk.tool()
    def wrong_order() -> str:
        return "ran"

    with pytest.raises(ValueError, match="wrong_order: write @requires below the decorator"):
        with_mcp_auth(around(sdk.streamable_http_app()), Auth())


@pytest.mark.parametrize("kind", ["tool", "prompt", "resource"])
def test_requires_above_a_decorator_of_fastmcp_is_refused_at_once(kind):
    server: Any = fastmcp.FastMCP("Todo")
    register = server.resource("todo://x") if kind == "resource" else getattr(server, kind)()

    def entry() -> str:
        return "ran"

    with pytest.raises(TypeError, match="below the decorator"):
        requires("todo:write")(register(entry))


@every_server
async def test_a_tool_whose_check_would_not_run_is_403_for_everyone(make):
    """When the guard starts, it cannot see what a server will register later."""
    made: list[Any] = []

    def remembered(auth: Auth, **options: Any) -> tuple[Any, Any]:
        app, guard = make(auth, **options)
        made.append(components.mcp_server_at(app, SCOPE))
        return app, guard

    def late() -> str:
        return "ran"

    async with running(remembered, Auth(SESSION)) as server:
        made[0].add_tool(Tool.from_function(late) if "fastmcp" in make.__name__ else late)
        requires("todo:write")(late)
        refused = await server.call("late")
    assert (refused.status_code, "ran" in refused.text) == (403, False)


@pytest.mark.parametrize("around", [Wrapper, mounted, mounted_by_routes])
async def test_a_server_inside_of_wrappers_is_found(around):
    inner = with_tools(MCPServer("Todo")).streamable_http_app(stateless_http=True, json_response=True)
    async with running(lambda auth: (inner, with_mcp_auth(around(inner), auth))) as server:
        assert (await server.call("add", text="x")).status_code == 403


async def test_a_request_cannot_choose_by_its_host_which_server_is_asked():
    """The application sees the host of the resource, so the guard looks there too."""

    async def page(_: Any) -> PlainTextResponse:
        return PlainTextResponse("another host")

    inner = with_tools(MCPServer("Todo")).streamable_http_app(stateless_http=True, json_response=True)
    other = Starlette(routes=[Route("/mcp", page, methods=["POST"])])
    by_host = Starlette(routes=[Host("127.0.0.1", app=inner), Mount("/", app=other)])
    async with running(lambda auth: (inner, with_mcp_auth(by_host, auth))) as server:
        server.http.headers["host"] = "evil.example"
        assert (await server.call("add", text="x")).status_code == 403


async def test_a_tool_of_a_fastmcp_app_is_403_by_its_hashed_name_too():
    app = fastmcp.FastMCPApp("billing")

    @app.tool()
    @requires("todo:write")
    def pay() -> str:
        return "paid"

    server = fastmcp.FastMCP("Todo")
    server.add_provider(app)
    served = server.http_app(stateless_http=True, json_response=True)
    async with running(lambda auth: (served, with_mcp_auth(served, auth))) as client:
        assert (await client.call(hashed_backend_name("billing", "pay"))).status_code == 403


async def test_a_rule_fits_the_hashed_name_of_a_tool_that_is_listed_with_a_namespace():
    app = fastmcp.FastMCPApp("billing")

    @app.tool(model=True)
    def pay() -> str:
        return "paid"

    inner = fastmcp.FastMCP("Bills")
    inner.add_provider(app)
    server = fastmcp.FastMCP("Todo")
    server.mount(inner, namespace="bills")
    served = server.http_app(stateless_http=True, json_response=True)
    rules = {"tools/call:bills_pay": "bills:pay"}
    async with running(lambda auth: (served, with_mcp_auth(served, auth, rules=rules))) as client:
        assert (await client.call("bills_pay")).status_code == 403
        assert (await client.call(hashed_backend_name("billing", "pay"))).status_code == 403


async def test_requires_also_checks_a_tool_that_another_tool_calls():
    """A rule does not: the guard reads the client's call, which is about the tool that searches."""
    ran: list[str] = []
    server = fastmcp.FastMCP("Todo", transforms=[BM25SearchTransform()])

    @server.tool
    @requires("todo:delete")
    def clear() -> str:
        ran.append("clear")
        return "cleared"

    served = server.http_app(stateless_http=True, json_response=True)
    async with running(lambda auth: (served, with_mcp_auth(served, auth))) as client:
        refused = (await client.call("call_tool", name="clear", arguments={})).json()["result"]
    assert (refused["isError"], ran) == (True, [])


@every_server
async def test_a_scope_that_only_the_tool_knows_is_asked_for_in_its_result(make):
    async with running(make) as server:
        assert "shared" in (await server.call("share", with_all=False)).text
        refused = (await server.call("share", with_all=True)).json()["result"]
    assert refused["isError"]
    (challenge,) = refused["_meta"]["mcp/www_authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="todo:read todo:share"' in challenge
    assert f'{RESOURCE.removesuffix("/mcp")}/.well-known/oauth-protected-resource/mcp"' in challenge


@every_server
async def test_step_up_in_the_result_is_200(make):
    async with running(make, step_up="result") as server:
        answer = await server.call("add", text="x")
    assert answer.status_code == 200
    assert answer.json()["result"]["isError"]


@every_server
async def test_a_scope_hierarchy_counts_in_tools(make):
    admin = replace(SESSION, scopes=("todo:admin",))
    async with running(
        make, Auth(admin), scope_hierarchy={"todo:admin": ("todo:write", "mail:send")}
    ) as server:
        assert "added x" in (await server.call("add", text="x")).text


def names(listed: httpx2.Response) -> set[str]:
    return {tool["name"] for tool in listed.json()["result"]["tools"]}


@every_server
@pytest.mark.parametrize(
    ("hide", "shown"),
    [
        ("nothing", {"read_todos", "add", "delete_all", "share"}),
        ("forbidden", {"read_todos", "add", "share"}),
        ("unusable", {"read_todos", "share"}),
    ],
)
async def test_the_option_hide_removes_entries_from_lists(make, hide, shown):
    async with running(make, hide=hide) as server:
        assert names(await server.ask("tools/list")) == shown


@every_server
async def test_a_list_of_the_newest_protocol_is_private_when_something_may_be_hidden(make):
    version = "2026-07-28"
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {"mcp-protocol-version": version, "mcp-method": "tools/list"}
    async with running(make, hide="forbidden") as server:
        listed = await server.http.post("/mcp", json=message, headers=headers)
    assert listed.json()["result"]["cacheScope"] == "private"
    assert "delete_all" not in names(listed)


@every_server
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"id":1,"method":"tools/list","method":"tools/call","params":{"name":"add"}}', 400),
        (b" " * (4 * 1024 * 1024 + 1), 413),
    ],
)
async def test_a_body_that_could_hide_a_call_is_refused(make, body, status):
    async with running(make) as server:
        assert (await server.http.post("/mcp", content=body)).status_code == status


@pytest.mark.parametrize("way", ["sdk", "fastmcp"])
async def test_in_an_mcp_session_each_call_has_the_scopes_of_its_own_token(way):
    """Fails if a session of the SDK keeps its first token: a step-up would then change nothing."""
    auth = Auth()
    if way == "sdk":
        app = with_tools(MCPServer("Todo")).streamable_http_app(json_response=True)
    else:
        app = with_tools(fastmcp.FastMCP("Todo")).http_app(json_response=True)
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    async with running(lambda auth: (app, with_mcp_auth(app, auth)), auth) as server:
        opened = await server.ask("initialize", **hello)
        server.http.headers["mcp-session-id"] = opened.headers["mcp-session-id"]
        await server.http.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert (await server.call("add", text="x")).status_code == 403
        auth.session = replace(SESSION, scopes=("todo:write", "mail:send"))
        assert "added x" in (await server.call("add", text="x")).text


async def test_tools_are_found_although_a_page_has_the_same_path():
    async def page(_: Any) -> PlainTextResponse:
        return PlainTextResponse("a server for MCP clients")

    inner = with_tools(MCPServer("Todo")).streamable_http_app(stateless_http=True, json_response=True)
    outer = Starlette(routes=[Route("/mcp", page, methods=["GET"]), *inner.routes])
    async with running(lambda auth: (inner, with_mcp_auth(outer, auth))) as server:
        assert (await server.http.get("/mcp")).text == "a server for MCP clients"
        assert (await server.call("add", text="x")).status_code == 403


async def test_other_routes_of_the_application_accept_any_body():
    async def upload(request: Any) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    inner = with_tools(MCPServer("Todo")).streamable_http_app(stateless_http=True)
    outer = Starlette(routes=[Route("/upload", upload, methods=["POST"]), Mount("/", app=inner)])
    transport = httpx2.ASGITransport(app=with_mcp_auth(outer, Auth()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        answer = await http.post("/upload", content=b"\xff" * 9, headers=HEADERS)
    assert answer.text == "9"


# Without a guard: stdio, and a client in the same process


@pytest.fixture
def no_session() -> Iterator[None]:
    with acting_as(None):
        yield


async def test_a_tool_of_the_sdk_refuses_a_caller_without_a_guard(no_session):
    async with Client(with_tools(MCPServer("Todo"))) as client:
        assert not (await client.call_tool("read_todos")).is_error
        refused = await client.call_tool("add", {"text": "x"})
    assert refused.is_error
    assert refused.meta is not None
    assert refused.meta["mcp/www_authenticate"] == ['Bearer scope="todo:write mail:send"']
    (block,) = refused.content
    assert isinstance(block, TextContent)
    assert block.text == "This needs an access token with the scopes todo:write mail:send."


async def test_a_tool_of_fastmcp_refuses_a_caller_without_a_guard(no_session):
    async with fastmcp.Client(with_tools(fastmcp.FastMCP("Todo"))) as client:
        refused = await client.call_tool("add", {"text": "x"}, raise_on_error=False)
    assert refused.is_error
    assert refused.meta["mcp/www_authenticate"] == ['Bearer scope="todo:write mail:send"']


async def test_without_a_guard_prompts_and_resources_reveal_nothing(no_session):
    async with Client(with_tools(MCPServer("Todo"))) as client:
        prompt = await client.get_prompt("plan")
        resource = await client.read_resource("todo://list")
    assert "Plan my day" not in prompt.model_dump_json()
    assert "water" not in resource.model_dump_json()


async def test_a_tool_keeps_its_signature(no_session):
    async with Client(with_tools(MCPServer("Todo"))) as client:
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "add"]
    assert tool.input_schema["required"] == ["text"]


ON_STDIO = """
import sys
from grantledger import McpSession, acting_as, requires
from mcp.server.mcpserver import MCPServer

server = MCPServer("Todo")

@server.tool()
@requires("todo:write")
def add(text: str) -> str:
    return f"added {text}"

scopes = tuple(sys.argv[1:])
session = McpSession(
    access_token="", expires_at=0, client_id="a", user_id="b", scopes=scopes, resource="https://a.example"
)
with acting_as(session if scopes else None):
    server.run()
"""


@pytest.mark.full
@pytest.mark.parametrize(
    ("scopes", "answer"),
    [
        ((), "This needs an access token with the scopes todo:write."),
        (("todo:read",), "The access token needs the scopes todo:write."),
        (("todo:write",), "added x"),
    ],
)
async def test_on_stdio_a_tool_checks_by_itself(scopes, answer):
    program = StdioServerParameters(command=sys.executable, args=["-c", ON_STDIO, *scopes])
    async with Client(stdio_client(program)) as client:
        result = await client.call_tool("add", {"text": "x"})
    (block,) = result.content
    assert isinstance(block, TextContent)
    assert block.text == answer
    assert result.is_error == (answer != "added x")
