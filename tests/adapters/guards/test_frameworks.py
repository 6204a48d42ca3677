"""The guards for Litestar, Starlette, FastAPI and Django behave in the same way."""

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any

import django
import httpx2
import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, JsonResponse
from fastapi import Depends, FastAPI
from litestar import Litestar, get
from litestar.connection import Request as LitestarRequest
from litestar.di import NamedDependency
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from grantledger.adapters.guards.asgi import with_mcp_auth
from grantledger.adapters.guards.blocking import SyncMcpAuthClient
from grantledger.adapters.guards.client import McpAuthClient
from grantledger.adapters.guards.django import mcp_auth_required, mcp_discovery
from grantledger.adapters.guards.litestar import mcp_guard, provide_mcp_session
from grantledger.adapters.guards.session import current_session
from grantledger.adapters.guards.starlette import mcp_session
from grantledger.application.tokens.mcp_session import McpSession
from support.issuer import ISSUER, RESOURCE, FakeIssuer

GOOD = {"authorization": "Bearer good"}
NEEDED = "notes:read"
CHALLENGE = (
    f'Bearer scope="{NEEDED}", '
    'resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp"'
)


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
def auth(issuer) -> McpAuthClient:
    return McpAuthClient(issuer=ISSUER, resource=RESOURCE, http=issuer.http())


def caller(session: McpSession | None) -> str | None:
    """Return the user, if the framework and `current_session` give the same caller."""
    assert session == current_session()
    return None if session is None else session.user_id


def litestar(auth: McpAuthClient, scope: str) -> Any:
    @get("/me", guards=[mcp_guard(auth, scope)], dependencies={"session": provide_mcp_session})
    async def me(session: NamedDependency[McpSession]) -> dict[str, str | None]:
        return {"user": caller(session)}

    return Litestar([me])


def starlette(auth: McpAuthClient, scope: str) -> Any:
    session_of = mcp_session(auth, scope)

    async def me(request: Request) -> JSONResponse:
        return JSONResponse({"user": caller(await session_of(request))})

    return Starlette(routes=[Route("/me", me)])


def fastapi(auth: McpAuthClient, scope: str) -> Any:
    app = FastAPI()

    @app.get("/me")
    async def me(session: Annotated[McpSession, Depends(mcp_session(auth, scope))]) -> dict[str, str | None]:
        return {"user": caller(session)}

    return app


def starlette_middleware(auth: McpAuthClient, scope: str) -> Any:
    async def me(_: Request) -> JSONResponse:
        return JSONResponse({"user": caller(current_session())})

    return Starlette(
        routes=[Route("/me", me)],
        middleware=[Middleware(with_mcp_auth, auth=auth, required_scopes=[scope])],
    )


def litestar_middleware(auth: McpAuthClient, scope: str) -> Any:
    @get("/me", dependencies={"session": provide_mcp_session})
    async def me(session: NamedDependency[McpSession]) -> dict[str, str | None]:
        return {"user": caller(session)}

    return Litestar([me], middleware=[auth.middleware(required_scopes=[scope])])


def django_view(auth: McpAuthClient, scope: str) -> Any:
    from django.core.handlers.asgi import ASGIHandler  # noqa: PLC0415 - after `configure`
    from django.urls import path  # noqa: PLC0415 - likewise

    @mcp_auth_required(auth, scope)
    async def me(request: Any) -> JsonResponse:
        return JsonResponse({"user": caller(request.mcp_session)})

    URLS.urlpatterns = [path("me", me)]
    return ASGIHandler()


class URLS:
    urlpatterns: list[Any] = []  # noqa: RUF012 - replaced by each test


@pytest.fixture(scope="module", autouse=True)
def configured() -> None:
    django_settings.configure(ROOT_URLCONF=URLS, ALLOWED_HOSTS=["*"], SECRET_KEY="test", USE_TZ=True)
    django.setup()


@pytest.fixture(autouse=True)
def fresh_urls() -> Iterator[None]:
    from django.urls import clear_url_caches  # noqa: PLC0415 - after `configure`

    clear_url_caches()
    yield
    clear_url_caches()


MAKERS = (litestar, litestar_middleware, starlette, starlette_middleware, fastapi, django_view)


@pytest.fixture(params=MAKERS, ids=[make.__name__ for make in MAKERS])
def make(request) -> Any:
    return request.param


async def asked(app: Any, headers: dict[str, str] | None = None, url: str = "/me") -> httpx2.Response:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="https://mcp.example"
    ) as http:
        return await http.get(url, headers=headers)


async def test_the_handler_knows_its_caller(make, auth):
    answer = await asked(make(auth, NEEDED), GOOD)
    assert (answer.status_code, answer.json()) == (200, {"user": "glu_ann"})


async def test_a_request_without_a_token_gets_the_challenge(make, auth):
    answer = await asked(make(auth, NEEDED))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


async def test_a_refused_token_is_named(make, auth):
    answer = await asked(make(auth, NEEDED), {"authorization": "Bearer bad"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


async def test_a_missing_scope_is_403(make, auth):
    answer = await asked(make(auth, "notes:write"), GOOD)
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="notes:write"' in answer.headers["www-authenticate"]


async def test_an_outage_is_503(make, auth, issuer):
    issuer.answers["/session"] = httpx2.ConnectError("refused")
    answer = await asked(make(auth, NEEDED), GOOD)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "www-authenticate" not in answer.headers


async def test_a_token_in_the_url_is_refused(make, auth, issuer):
    answer = await asked(make(auth, NEEDED), GOOD, "/me?access_token=good")
    assert answer.status_code == 400
    assert issuer.asked == []


async def test_pages_of_origins_that_are_not_listed_get_403(make, issuer):
    listed = McpAuthClient(
        issuer=ISSUER, resource=RESOURCE, allowed_origin=["https://a.example"], http=issuer.http()
    )
    app = make(listed, NEEDED)
    assert (await asked(app, {**GOOD, "origin": "https://evil.example"})).status_code == 403
    assert issuer.asked == []
    assert (await asked(app, {**GOOD, "origin": "https://a.example"})).status_code == 200


# Two requests on one connection


@get("/open", dependencies={"session": provide_mcp_session})
async def open_with_dependency(session: NamedDependency[McpSession]) -> str:
    return str(session.user_id)


@get("/open-too")
async def open_without(request: LitestarRequest[Any, Any, Any]) -> str:
    return "no caller" if current_session() is None else "a caller"


def routes_of_litestar(auth: McpAuthClient) -> Any:
    @get("/me", guards=[mcp_guard(auth)], dependencies={"session": provide_mcp_session})
    async def me(session: NamedDependency[McpSession]) -> str:
        return str(session.user_id)

    return Litestar([me, open_with_dependency, open_without])


def routes_of_starlette(auth: McpAuthClient) -> Any:
    session_of = mcp_session(auth)

    async def me(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str((await session_of(request)).user_id))

    async def open_to_all(_: Request) -> PlainTextResponse:
        return PlainTextResponse("no caller" if current_session() is None else "a caller")

    return Starlette(routes=[Route("/me", me), Route("/open-too", open_to_all)])


async def one_after_the_other(app: Any, *paths: str) -> list[tuple[int, str]]:
    """Call the application in the context of the request before, as servers do with pipelined requests."""
    done: list[tuple[int, bytes]] = []
    tasks: list[asyncio.Task[None]] = []

    def start(path: str, *others: str) -> None:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"mcp.example")] + ([(b"authorization", b"Bearer good")] if others else []),
        }
        status = 0

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                done.append((status, message["body"]))
                if others:
                    start(*others)

        tasks.append(asyncio.create_task(app(scope, receive, send)))

    start(*paths)
    for task in tasks:  # which grow
        await task
    return [(status, body.decode()) for status, body in done]


@pytest.mark.parametrize("routes", [routes_of_litestar, routes_of_starlette])
async def test_a_route_without_a_guard_does_not_see_the_caller_of_the_request_before(routes, auth):
    answers = await one_after_the_other(routes(auth), "/me", "/open-too")
    assert answers == [(200, "glu_ann"), (200, "no caller")]


async def test_the_dependency_of_a_route_without_a_guard_is_an_error(auth):
    first, second = await one_after_the_other(routes_of_litestar(auth), "/me", "/open")
    assert first == (200, "glu_ann")
    assert second[0] == 500
    assert "glu_ann" not in second[1]


async def test_work_of_a_guarded_route_sees_its_caller_in_other_tasks_too(auth):
    @get("/me", guards=[mcp_guard(auth)])
    async def me() -> list[str]:
        async def work() -> str:
            session = current_session()
            return str(session and session.user_id)

        return [*await asyncio.gather(work(), work()), await asyncio.to_thread(lambda: asyncio.run(work()))]

    assert (await asked(Litestar([me]), GOOD)).json() == ["glu_ann"] * 3


def test_a_sync_view_of_django_takes_the_sync_client(issuer):
    from django.test import RequestFactory  # noqa: PLC0415 - after `configure`

    sync = SyncMcpAuthClient(issuer=ISSUER, resource=RESOURCE, http=issuer.http())

    @mcp_auth_required(sync, NEEDED)
    def me(request: Any) -> JsonResponse:
        return JsonResponse({"user": caller(request.mcp_session)})

    make = RequestFactory()
    assert me(make.post("/me", headers=GOOD)).content == b'{"user": "glu_ann"}'
    assert me(make.post("/me"))["WWW-Authenticate"] == CHALLENGE
    assert me(make.options("/me")).status_code == 204
    assert vars(me)["csrf_exempt"]
    sync.close()


def test_the_vary_header_of_a_django_view_is_kept(issuer):
    from django.test import RequestFactory  # noqa: PLC0415 - after `configure`

    origin = "https://a.example"
    sync = SyncMcpAuthClient(issuer=ISSUER, resource=RESOURCE, allowed_origin=origin, http=issuer.http())

    @mcp_auth_required(sync)
    def me(_: HttpRequest) -> JsonResponse:
        return JsonResponse({}, headers={"Vary": "Accept"})

    answer = me(RequestFactory().post("/me", headers={**GOOD, "origin": origin}))
    assert answer["Vary"] == "Accept, Origin"
    assert answer["Access-Control-Allow-Origin"] == origin
    sync.close()


async def test_django_answers_a_preflight_with_bytes_that_are_not_utf_8(auth):
    from django.test import RequestFactory  # noqa: PLC0415 - after `configure`

    request = RequestFactory().options("/", headers={"access-control-request-headers": "x-\xff"})
    answer = await mcp_discovery(auth)[0].callback(request)
    assert (answer.status_code, answer["Access-Control-Allow-Headers"]) == (204, "x-\xff")


@pytest.mark.parametrize("prefix", ["", "/app"])
async def test_django_serves_discovery_behind_a_script_prefix(auth, prefix):
    from django.test import RequestFactory  # noqa: PLC0415 - after `configure`

    pattern = mcp_discovery(auth)[0]
    request = RequestFactory().get("/.well-known/oauth-protected-resource", SCRIPT_NAME=prefix)
    assert request.path == f"{prefix}/.well-known/oauth-protected-resource"
    assert json.loads((await pattern.callback(request)).content)["resource"] == RESOURCE


def test_a_django_view_and_its_client_are_both_sync_or_both_async(auth):
    sync = SyncMcpAuthClient(issuer=ISSUER, resource=RESOURCE)

    async def async_view(_: HttpRequest) -> None: ...

    def sync_view(_: HttpRequest) -> None: ...

    with pytest.raises(TypeError, match="async view"):
        mcp_auth_required(sync)(async_view)
    with pytest.raises(TypeError, match="sync view"):
        mcp_auth_required(auth)(sync_view)
