"""Finding the functions with `@requires` of an MCP server, from its ASGI application.

If a function is not found here, it refuses calls itself, with an error result instead of a 403.
"""

import logging
import sys
from typing import Any

from grantledger.adapters.asgi_types import ASGIApp, Scope
from grantledger.adapters.guards.messages import Call
from grantledger.adapters.guards.requires import Declared, Requirement, declared_requirement

_log = logging.getLogger(__name__)


def mcp_server_at(app: ASGIApp, scope: Scope) -> Any:
    """Return the server of the `mcp` SDK or of FastMCP that answers this path of `app`, or None.

    It is found in an application of Starlette or FastAPI, and in applications that are mounted there.
    """
    starlette = sys.modules.get("starlette.applications")
    if not Declared.any or starlette is None or not isinstance(app, starlette.Starlette):
        return None
    # As Starlette chooses: the first route for this path and method, or else the first for this path.
    found = [(*route.matches(scope), route) for route in app.routes]
    match, child, route = max(found, key=lambda one: one[0].value, default=(None, {}, None))
    if match is None or not match.value:
        return None
    endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
    inner = _unwrapped(endpoint)
    if inner is not None:
        return getattr(app.state, "fastmcp_server", None) or _server_of_sdk(inner.session_manager)
    return mcp_server_at(endpoint, {**scope, **child}) if callable(endpoint) else None


def _unwrapped(endpoint: Any) -> Any:
    """Return the SDK's endpoint inside of its middleware, None for another endpoint."""
    while endpoint is not None and not hasattr(endpoint, "session_manager"):
        endpoint = getattr(endpoint, "app", None)
    return endpoint


def _server_of_sdk(session_manager: Any) -> Any:
    """Return the `MCPServer` whose method handles the calls. None for another class, and for SDK 1."""
    find = getattr(session_manager.app, "get_request_handler", None)
    entry = None if find is None else find("tools/call")
    return getattr(getattr(entry, "handler", None), "__self__", None)


async def requirement_in(server: Any, call: Call) -> Requirement | None:
    """Return what `@requires` declared for the tool, prompt or resource of a call, None without it."""
    if call.name is None:
        return None
    try:
        return declared_requirement(await _component(server, call))
    except Exception as error:  # noqa: BLE001 - an unknown name, or a server of another kind
        _log.debug("no component %r: %r", call.name, error)
        return None


async def _component(server: Any, call: Call) -> Any:
    if hasattr(server, "get_tool"):  # FastMCP
        if call.method == "tools/call":
            return await server.get_tool(call.name)
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
