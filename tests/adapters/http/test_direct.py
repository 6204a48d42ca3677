"""The endpoints that bypass Litestar's layers answer byte for byte as Litestar does."""

from typing import Any

import pytest
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath

from grantledger.adapters.asgi_types import ASGIApp, Message
from grantledger.adapters.http.direct import SEGMENT, with_direct_endpoints
from grantledger.adapters.http.pages.responses import page, redirect
from grantledger.adapters.http.responses import AnyRequest, error_answer, json_answer
from grantledger.application.ports import Unavailable
from grantledger.domain.client_registration import ClientUnknown


async def json(request: AnyRequest) -> Response[bytes]:
    return json_answer({"query": request.query_params.get("a")})


async def page_with_cookies(request: AnyRequest) -> Response[bytes]:
    response = page("<p>Grüße</p>", status=400)
    response.set_cookie(Cookie(key="one", value="1", path="/authorize", httponly=True, samesite="lax"))
    response.set_cookie(Cookie(key="two", value="", max_age=0, secure=True))
    return response


async def redirected(request: AnyRequest) -> Response[bytes]:
    return redirect("https://client.example/callback?code=1")


async def refused(request: AnyRequest) -> Response[bytes]:
    raise ClientUnknown("glc_nobody")


async def unavailable(request: AnyRequest) -> Response[bytes]:
    raise Unavailable("disk")


async def broken(request: AnyRequest) -> Response[bytes]:
    raise RuntimeError("a fault")


async def body(request: AnyRequest) -> Response[bytes]:
    return Response(await request.body(), status_code=200, media_type=MediaType.TEXT)


async def segment_of(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    return json_answer({"segment": segment, "form": (await request.body()).decode()})


async def account(request: AnyRequest) -> Response[bytes]:
    return json_answer("account")


async def turned_away(request: AnyRequest) -> Response[bytes] | None:
    return redirect("/elsewhere") if request.scope["path"].endswith("/away") else None


def apps() -> tuple[ASGIApp, ASGIApp]:
    """Litestar alone, and Litestar behind the direct endpoints."""
    handlers = (json, page_with_cookies, redirected, refused, unavailable, broken)
    routes = [get(f"/{handler.__name__}")(handler) for handler in handlers]

    def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return error_answer(request, error)

    pages = [
        get("/pages/account")(account),
        get(f"/pages/{SEGMENT}", before_request=turned_away)(segment_of),
        post(f"/pages/{SEGMENT}/form", before_request=turned_away)(segment_of),
    ]
    app = Litestar(
        [*routes, post("/body")(body), *pages],
        exception_handlers={Exception: answer},
        request_max_body_size=10,
        openapi_config=None,
        logging_config=None,
    )
    paths = [f"/{handler.__name__}" for handler in (*handlers, body)]
    paths += [f"/pages/{SEGMENT}", f"/pages/{SEGMENT}/form"]
    return app, with_direct_endpoints(app, paths, "/pages", answer)


async def messages(app: ASGIApp, method: str, path: str, sent: bytes = b"") -> list[Message]:
    found: list[Message] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"a=1",
        "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % len(sent))],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Message) -> None:
        found.append(dict(message))

    await app(scope, receive, send)
    start, *bodies = found
    start["headers"] = sorted(start["headers"])
    return [start, b"".join(one["body"] for one in bodies)]


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        *(
            ("GET", f"/{name}", b"")
            for name in ("json", "page_with_cookies", "redirected", "refused", "unavailable", "broken")
        ),
        ("POST", "/body", b"0123456789"),
        ("POST", "/body", b"longer than ten bytes"),
        ("POST", "/json", b""),
        ("OPTIONS", "/json", b""),
        ("GET", "/nowhere", b""),
        ("GET", "/pages/one", b""),
        ("GET", "/pages/away", b""),
        ("POST", "/pages/one/form", b"0123456789"),
        ("POST", "/pages/one/form", b"longer than ten bytes"),
        ("GET", "/pages/account", b""),
        ("POST", "/pages/account/form", b""),
        ("POST", "/pages/one", b""),
        ("GET", "/pages/one/", b""),
        ("GET", "/pages/one/form", b""),
        ("GET", "/pages/one/other", b""),
        ("GET", "/pages", b""),
        ("GET", "/pages/", b""),
    ],
)
async def test_a_direct_answer_is_that_of_litestar(method: str, path: str, sent: bytes):
    litestar, direct = apps()
    assert await messages(direct, method, path, sent) == await messages(litestar, method, path, sent)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
