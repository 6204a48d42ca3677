"""Find the functions with `@requires` of an MCP server, starting from its ASGI application.

A function that is not found here refuses calls itself, with an error result instead of a 403.
"""

import logging
import sys
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from grantledger.adapters.asgi_types import ASGIApp, Scope
from grantledger.adapters.guards.messages import HASHED_NAME, Call
from grantledger.adapters.guards.requires import (
    FORBIDDEN,
    Declared,
    Requirement,
    Unchecked,
    declared_requirement,
)

_log = logging.getLogger(__name__)


def mcp_server_at(app: ASGIApp, scope: Scope) -> Any:
    """Return the server of the `mcp` SDK or of FastMCP that answers this path of `app`, or None.

    It is found in an application of Starlette or FastAPI, in applications that are mounted there, and inside
    of wrappers that keep their application as `app`.
    """
    if not Declared.any:
        return None
    starlette = _with_routes(app)
    if starlette is None:
        return None
    # As Starlette chooses: the first route for this path and method, or else the first for this path.
    found = [(*route.matches(scope), route) for route in starlette.routes]
    match, child, route = max(found, key=lambda one: one[0].value, default=(None, {}, None))
    if match is None or not match.value:
        return None
    endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
    inner = _unwrapped(endpoint)
    if inner is not None:
        return _server_of_fastmcp(starlette) or _server_of_sdk(inner.session_manager)
    return mcp_server_at(endpoint, {**scope, **child}) if callable(endpoint) else None


def refuse_unchecked(app: ASGIApp) -> None:
    """Raise `ValueError` if a server of the `mcp` SDK in `app` has registered a function below `@requires`.

    FastMCP adds tools while it runs, so `requires` itself looks for such a function there.
    """
    for server in _servers_of_sdk(app):
        for component in _components_of_sdk(server):
            try:
                declared_requirement(component)
            except Unchecked as error:
                raise ValueError(f"{component.name}: {error}") from None


def _servers_of_sdk(app: Any) -> Iterator[Any]:
    app = _with_routes(app)
    for route in () if app is None else app.routes:
        endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
        inner = _unwrapped(endpoint)
        if inner is None:
            yield from _servers_of_sdk(endpoint)
        elif _server_of_fastmcp(app) is None:
            yield _server_of_sdk(inner.session_manager)


def _with_routes(app: Any) -> Any:
    """Return the application or router of Starlette inside of wrappers, None without one."""
    starlette, routing = sys.modules.get("starlette.applications"), sys.modules.get("starlette.routing")
    if starlette is None or routing is None:
        return None
    for _ in range(_MAX_WRAPPERS):
        if app is None or isinstance(app, (starlette.Starlette, routing.Router)):
            return app
        app = getattr(app, "app", None)
    return None


_MAX_WRAPPERS = 50


def _server_of_fastmcp(app: Any) -> Any:
    return getattr(getattr(app, "state", None), "fastmcp_server", None)


def _unwrapped(endpoint: Any) -> Any:
    """Return the SDK's endpoint inside of its middleware, None for another endpoint."""
    for _ in range(_MAX_WRAPPERS):
        if endpoint is None or hasattr(endpoint, "session_manager"):
            return endpoint
        endpoint = getattr(endpoint, "app", None)
    return None


def _server_of_sdk(session_manager: Any) -> Any:
    """Return the `MCPServer` whose method handles the calls. None for another class, and for SDK 1."""
    find = getattr(session_manager.app, "get_request_handler", None)
    entry = None if find is None else find("tools/call")
    return getattr(getattr(entry, "handler", None), "__self__", None)


async def requirement_in(server: Any, call: Call) -> Requirement | None:
    """Return what `@requires` declared for the tool, prompt or resource of a call, None without it.

    If calling the function would not check the requirement, return `FORBIDDEN`.
    """
    if call.name is None:
        return None
    try:
        return declared_requirement(await _component(server, call))
    except Unchecked as error:
        _log.error("%s of %r is refused: %s", call.method, call.name, error)
        return FORBIDDEN
    except Exception as error:  # noqa: BLE001 - an unknown name, or a server of another kind
        _log.debug("no component %r: %r", call.name, error)
        return None


async def listed_as(server: Any, call: Call) -> Call | None:
    """For a tool that is called by its hash, return the call with the name that lists show.

    Return None for a call by name. Return None also for a hash that the server does not know: it then runs
    no tool.
    """
    if call.method != "tools/call" or not hasattr(server, "get_tool_by_hash"):
        return None
    try:
        tool = await _tool_by_hash(server, call.name)
    except Exception as error:  # noqa: BLE001 - the server answers the call
        _log.debug("no component %r: %r", call.name, error)
        return None
    return None if tool is None else replace(call, name=tool.name)


async def _component(server: Any, call: Call) -> Any:
    if hasattr(server, "get_tool"):  # FastMCP
        if call.method == "tools/call":
            return await server.get_tool(call.name) or await _tool_by_hash(server, call.name)
        if call.method == "prompts/get":
            return await server.get_prompt(call.name)
        return await server.get_resource(call.name) or await server.get_resource_template(call.name)
    if call.method == "tools/call":
        return server._tool_manager.get_tool(call.name)  # noqa: SLF001 - the SDK has no other way to it
    if call.method == "prompts/get":
        return server._prompt_manager.get_prompt(call.name)  # noqa: SLF001
    manager = server._resource_manager  # noqa: SLF001
    resources = (one for one in manager.list_resources() if str(one.uri) == call.name)
    templates = (one for one in manager.list_templates() if one.matches(call.name) is not None)
    return next(resources, None) or next(templates, None)


def _components_of_sdk(server: Any) -> Iterator[Any]:
    if hasattr(server, "_tool_manager"):
        yield from server._tool_manager.list_tools()  # noqa: SLF001
        yield from server._prompt_manager.list_prompts()  # noqa: SLF001
        yield from server._resource_manager.list_resources()  # noqa: SLF001
        yield from server._resource_manager.list_templates()  # noqa: SLF001


async def _tool_by_hash(server: Any, name: str | None) -> Any:
    """Return the tool of a `FastMCPApp`, which its pages call by hash and name."""
    hashed = HASHED_NAME.fullmatch(name or "")
    return None if hashed is None else await server.get_tool_by_hash(hashed["hash"], hashed["name"])
