"""`AuthorizationServer` and `McpAuthClient` have the same methods for guards, with the same results."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from litestar import Litestar, get

from grantledger import McpAuthClient, fastmcp_auth
from grantledger.adapters.guards.litestar import mcp_discovery, mcp_guard
from grantledger.testing import LocalIssuer, local_issuer
from support.guarding import Call, GuardedApp, calling

RESOURCE = "https://mcp.example/mcp"
INSPECTOR = "https://inspector.example"
EVIL = (("origin", "https://evil.example"),)
DOCUMENTS = (
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[LocalIssuer]:
    async with local_issuer(resource=RESOURCE, scopes=("notes:read",)) as local:
        yield local


@pytest.fixture(scope="module")
async def token(local: LocalIssuer) -> str:
    return await local.token(scopes=("openid", "notes:read"))


@pytest.fixture(params=["embedded", "remote"])
def auth(request, local: LocalIssuer) -> Any:
    if request.param == "embedded":
        return local.server
    return McpAuthClient(
        issuer=local.issuer, resource=RESOURCE, scopes=("notes:read",), cache_seconds=0, http=local.http
    )


async def test_a_token_has_the_same_session(auth, token):
    session = await auth.verify_token(token)
    assert session == await auth.get_session({"Authorization": f"Bearer {token}"})
    assert (session.access_token, session.resource) == (token, RESOURCE)
    assert session.scopes == ("openid", "notes:read")
    assert await auth.verify_token("glat_other") is None
    assert await auth.get_session({}) is None


async def test_a_handler_and_a_middleware_guard_an_application(auth, token):
    for guard in (auth.handler(GuardedApp()), auth.middleware()(GuardedApp())):
        assert (await calling(guard)).status == 401
        assert (await calling(guard, "POST", f"Bearer {token}")).status == 200
        for path in DOCUMENTS:
            assert (await calling(guard, "GET", path=path)).status == 200


async def test_a_guard_has_scopes_and_public_paths(auth, token):
    options: dict[str, Any] = {"required_scopes": ("notes:write",), "public": ("/health",)}
    for guard in (auth.handler(GuardedApp(), **options), auth.middleware(**options)(GuardedApp())):
        assert (await calling(guard, "POST", f"Bearer {token}")).status == 403
        assert (await calling(guard, "GET", path="/health")).status == 200


async def test_the_documents_can_be_served_without_a_guard(auth, local):
    resource = await calling(auth.protected_resource_handler(), "GET", path="/anything")
    issuer = await calling(auth.discovery_handler(), "GET", path=DOCUMENTS[2])
    assert (resource.json()["resource"], issuer.json()["issuer"]) == (RESOURCE, local.issuer)


@pytest.mark.parametrize("handler", ["discovery_handler", "protected_resource_handler", "middleware"])
async def test_an_unknown_resource_is_a_value_error(auth, handler):
    with pytest.raises(ValueError, match=r"other\.example"):
        getattr(auth, handler)(resource="https://other.example/")


def listed(auth: Any, way: str) -> Call:
    """Return a guard that serves only the pages of one origin."""
    made = {
        "handler": lambda: auth.handler(GuardedApp(), allowed_origin=[INSPECTOR]),
        "middleware": lambda: auth.middleware(allowed_origin=[INSPECTOR])(GuardedApp()),
    }[way]()

    async def call(*arguments: Any, **options: Any) -> Any:
        return await calling(made, *arguments, **options)

    return call


@pytest.mark.parametrize("way", ["handler", "middleware"])
async def test_pages_of_origins_that_are_not_listed_get_403(auth, token, way):
    call = listed(auth, way)
    assert (await call("POST", f"Bearer {token}", headers=EVIL)).status == 403
    answer = await call("POST", f"Bearer {token}", headers=(("origin", INSPECTOR),))
    assert (answer.status, answer.value("access-control-allow-origin")) == (200, INSPECTOR)


async def test_a_server_may_name_the_origins_of_all_its_guards(local, token):
    server = type(local.server)(local.server.settings, allowed_origin=[INSPECTOR])
    async with server:
        for guard in (server.guard(GuardedApp()), server.handler(GuardedApp())):
            assert (await calling(guard, "POST", f"Bearer {token}", headers=EVIL)).status == 403
            assert (await calling(guard, "POST", f"Bearer {token}")).status == 200


async def test_a_guard_of_fastmcp_may_name_its_origins(auth):
    from fastmcp import FastMCP  # noqa: PLC0415 - it takes a second to import

    app = FastMCP("Notes", auth=fastmcp_auth(auth, allowed_origin=[INSPECTOR])).http_app()
    assert (await calling(app, "POST", headers=EVIL)).status == 403
    assert (await calling(app, "POST", headers=(("origin", INSPECTOR),))).status == 401


async def test_the_routes_of_litestar_serve_discovery_beside_a_guard_of_routes(local):
    auth = McpAuthClient(issuer=local.issuer, resource=RESOURCE, http=local.http)

    @get("/mcp", guards=[mcp_guard(auth)])
    async def mcp() -> None: ...

    app = Litestar([mcp, *mcp_discovery(auth)], openapi_config=None)
    for path in DOCUMENTS:
        answer = await calling(app, "GET", path=path)
        assert answer.status == 200
        assert (await calling(app, "OPTIONS", path=path)).status == 204
        assert (await calling(app, "HEAD", path=path)).body == b""
    assert (await calling(app, "GET", path="/mcp")).status == 401


async def test_middleware_of_litestar_needs_the_routes_of_discovery(local):
    """Litestar answers 404 for all other paths, before its middleware."""
    auth = McpAuthClient(issuer=local.issuer, resource=RESOURCE, http=local.http)

    @get("/mcp")
    async def mcp() -> None: ...

    without = Litestar([mcp], middleware=[auth.middleware()], openapi_config=None)
    both = Litestar([mcp, *mcp_discovery(auth)], middleware=[auth.middleware()], openapi_config=None)
    assert (await calling(without, "GET", path=DOCUMENTS[1])).status == 404
    assert (await calling(both, "GET", path=DOCUMENTS[1])).status == 200
    assert (await calling(both, "GET", path="/mcp")).status == 401
