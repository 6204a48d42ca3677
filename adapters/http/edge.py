"""What holds for every path of the server, around the application: CORS and HEAD."""

from collections.abc import Callable

from grantledger.adapters.web.asgi_types import ASGIApp, Message, Receive, Scope, Send
from grantledger.adapters.web.cors import preflight_headers, response_headers


def with_cors(app: ASGIApp, is_shared: Callable[[str], bool]) -> ASGIApp:
    """Let scripts of any origin call the paths that programs call.

    The pages have none: OAuth 2.1 section 3.1, "MUST NOT support Cross-Origin Resource Sharing".
    """
    shared = response_headers()

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_shared(scope["path"]):
            await app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            headers = preflight_headers(scope["headers"])
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await app(scope, receive, _adding(shared, send))

    return handle


def _adding(headers: list[tuple[bytes, bytes]], send: Send) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return send_with


def with_head(app: ASGIApp) -> ASGIApp:
    """Answer HEAD wherever GET is answered: the same, without the body (RFC 9110 section 9.3.2)."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {
                    "type": "http.response.body",
                    "body": b"",
                    "more_body": message.get("more_body", False),
                }
            await send(message)

        asked = {**scope, "method": "GET"}
        try:
            await app(asked, receive, send_head)
        finally:
            scope["path_template"] = asked.get("path_template")

    return handle
