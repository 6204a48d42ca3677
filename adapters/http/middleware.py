"""ASGI middleware around all routes: HEAD, CORS, mounted applications and the log line of a request."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from structlog.contextvars import bind_contextvars, reset_contextvars

from grantledger.adapters import logs
from grantledger.adapters.asgi_types import ASGIApp, Message, Receive, Scope, Send
from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.guards.cors import preflight_headers, response_headers
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.errors import SERVER_FAULT, AppsStillConnected, FormForeign, error_response
from grantledger.application.accounts.change_password import PasswordWrong
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.ports import Unavailable
from grantledger.application.throttling import TooManyRequests
from grantledger.domain import authorization_code as code
from grantledger.domain import token_grant as grant
from grantledger.domain.authorization_request import SentBack
from grantledger.domain.client_registration import ClientAuthenticationFailed
from grantledger.domain.email_address import EmailInvalid, normalized
from grantledger.domain.pkce import CodeVerifierMismatch
from grantledger.domain.refusal import Refusal
from grantledger.domain.registration_tokens import RegistrationTokenRefused
from grantledger.domain.resource import ResourceAuthenticationFailed


def with_cors(app: ASGIApp, is_shared: Callable[[str], bool]) -> ASGIApp:
    """Allow CORS for the paths that `is_shared` accepts.

    Pages are not shared: OAuth 2.1 section 3.1, "MUST NOT support Cross-Origin Resource Sharing".
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


def with_hsts(app: ASGIApp) -> ASGIApp:
    """Tell browsers to use https for this host, without its subdomains, which may not be ours (RFC 6797)."""
    header = [(b"strict-transport-security", b"max-age=31536000")]

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, _adding(header, send) if scope["type"] == "http" else send)

    return handle


def with_head(app: ASGIApp) -> ASGIApp:
    """Answer HEAD as GET, without the body (RFC 9110 section 9.3.2)."""

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

        as_get = {**scope, "method": "GET"}
        try:
            await app(as_get, receive, send_head)
        finally:
            scope["path_template"] = as_get.get("path_template")

    return handle


class Mount(Struct, frozen=True, kw_only=True):
    """An application for `path` and all paths below it. The application receives the whole path of a request.

    A mount with the path "" or "/" gets every path that is not the server's.
    """

    path: str
    app: ASGIApp
    lifespan: Callable[[], AbstractAsyncContextManager[None]]


def with_mounts(app: ASGIApp, mounts: Sequence[Mount], is_own: Callable[[str], bool]) -> ASGIApp:
    """Pass a request to the mount with the longest path that fits the request, and all others to `app`.

    `app` also gets every path that `is_own` accepts, so that no mount hides the server.
    """
    by_path = {mount.path.rstrip("/"): mount.app for mount in reversed(mounts)}
    longest_first = sorted(by_path.items(), key=lambda item: len(item[0]), reverse=True)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] in ("http", "websocket") else None
        if path is not None and not is_own(path):
            for below, mounted in longest_first:
                if path == below or path.startswith(f"{below}/"):
                    scope["path_template"] = below or "/"
                    await mounted(scope, receive, send)
                    return
        await app(scope, receive, send)

    return handle if mounts else app


_UNNORMALIZED = re.compile(r"//|/\.{1,2}(?:/|$)|./$")
_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~"


def with_normalized_paths(app: ASGIApp, not_found: ASGIApp, *, base_path: str = "") -> ASGIApp:
    """Let `not_found` answer a path that is not normalized, such as `//register` or `/%72egister`.

    The router would treat both as `/register`, and a proxy that limits access to `/register` would miss them.
    Only the front page may end with a slash: a proxy with a location `/auth/` redirects `/auth` there.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and scope["path"] != f"{base_path}/" and not _is_normalized(scope)
        await (not_found if refused else app)(scope, receive, send)

    return handle


def _is_normalized(scope: Scope) -> bool:
    path, raw = scope["path"], scope.get("raw_path")
    # A resource may end with a slash, and clients append it unchanged to the well-known paths.
    if "/.well-known/" in path:
        path = path.removesuffix("/")
        raw = raw and raw.removesuffix(b"/")
    if _UNNORMALIZED.search(path):
        return False
    return not raw or b"%" not in raw or raw == quote(path, safe=_PATH_CHARACTERS).encode()


_log = logging.getLogger("grantledger.http")

SUSPICIOUS = (
    Unavailable,
    AppsStillConnected,
    TooManyRequests,
    SignInRefused,
    PasswordWrong,
    FormForeign,
    ClientAuthenticationFailed,
    CodeVerifierMismatch,
    code.CodeAlreadyRedeemed,
    code.CodeBelongsToAnotherClient,
    grant.RefreshTokenAlreadyUsed,
    grant.TokenBelongsToAnotherClient,
    RegistrationTokenRefused,
    ResourceAuthenticationFailed,
)
"""Errors that are logged as a warning: outages and signs of an attack."""

_NOTES = "grantledger.notes"
_CLIENT_ID = re.compile(r"gl[cr]_[A-Za-z0-9_-]{16,64}")
_LONGEST_DETAIL = 300


class CallerNames:
    """How the log line of a warning names the caller and the account: `off`, `digest` or `plain`.

    The digest of an address equals the one in the events of the ledger, so log and ledger can be compared.
    """

    def __init__(self, mode: str, digests: KeyedDigests) -> None:
        self._mode = mode
        self._digests = digests

    def facts(self, address: str | None, account: str | None) -> dict[str, str]:
        """Return the fields of the line. `plain` shows the IP address; the account is always a digest."""
        named = {}
        if address is not None and self._mode != "off":
            named["address"] = address if self._mode == "plain" else self._digest("caller address", address)
        if account is not None and self._mode != "off":
            named["account"] = self._digest("account in a log", account)
        return named

    def _digest(self, purpose: str, value: str) -> str:
        return self._digests.short(purpose, value).hex()


class Notes(Struct):
    """What a handler adds to the log line of its request.

    `account` is an e-mail address. Only a warning names it, and only as a digest.
    """

    client_id: str | None = None
    account: str | None = None
    refusal: Exception | None = None
    warning: str | None = None


def note_client(scope: Scope, client_id: str | None) -> None:
    """Log the client id that the request claims, if it has the form of a client id."""
    if client_id is not None and _CLIENT_ID.fullmatch(client_id) and _NOTES in scope:
        scope[_NOTES].client_id = client_id


def note_account(scope: Scope, email: str) -> None:
    """Let a warning name the account of this e-mail address, whether or not it exists."""
    if _NOTES in scope:
        with suppress(EmailInvalid):
            scope[_NOTES].account = normalized(email)


def note_refusal(scope: Scope, refusal: Exception) -> None:
    """Log why the request is refused. Only the operator reads the message."""
    if _NOTES in scope:
        scope[_NOTES].refusal = refusal.cause if isinstance(refusal, SentBack) else refusal


def note_warning(scope: Scope, warning: str) -> None:
    """Log a request that succeeds as a warning, because it may be part of an attack."""
    if _NOTES in scope:
        scope[_NOTES].warning = warning


async def note_exception(error: Exception, scope: Any) -> None:
    """Litestar's `after_exception` hook."""
    note_refusal(scope, error)


def with_request_log(app: ASGIApp, caller_of: CallerReader, names: CallerNames) -> ASGIApp:
    """Write one log line for each request, and put its correlation id into the response."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        caller, notes = caller_of.read(scope), Notes()
        scope[_NOTES] = notes
        request_id = (b"x-request-id", caller.correlation_id.encode())

        async def send_with(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                others = [header for header in message.get("headers", ()) if header[0] != b"x-request-id"]
                message = {**message, "headers": [*others, request_id]}
            await send(message)

        bound = bind_contextvars(correlation_id=caller.correlation_id)
        try:
            await app(scope, receive, send_with)
        except Exception as error:
            # From a mounted application: Litestar answers the exceptions of our own handlers.
            _log.exception("unexpected error")
            note_refusal(scope, error)
            if status:
                raise
            await error_response(SERVER_FAULT, [(b"cache-control", b"no-store")]).send(send_with)
        finally:
            level = _level(notes, status)
            named = names.facts(caller.address, notes.account) if level == "warning" else {}
            facts = _facts(scope, notes, status, time.perf_counter() - started)
            logs.write_line(level, "request", **facts, **named, correlation_id=caller.correlation_id)
            reset_contextvars(**bound)

    return handle


def _facts(scope: Scope, notes: Notes, status: int, seconds: float) -> dict[str, Any]:
    # Never the path or the query: they hold codes, states and transaction ids.
    facts: dict[str, Any] = {
        "method": scope["method"],
        "route": scope.get("path_template") or None,
        "status": status or None,
        "ms": round(seconds * 1_000, 1),
    }
    if notes.client_id is not None:
        facts["client_id"] = notes.client_id
    if notes.warning is not None:
        facts["warning"] = notes.warning
    if notes.refusal is not None:
        facts["refusal"] = type(notes.refusal).__name__
        # The message of any other exception may hold a secret.
        if isinstance(notes.refusal, (Refusal, Unavailable)) and str(notes.refusal):
            # In one line: `redacted` hides the rest of a line, and a stranger's text may have several.
            in_one_line = str(notes.refusal).replace("\n", " ")
            facts["detail"] = logs.redacted(in_one_line)[:_LONGEST_DETAIL]
    return facts


def _level(notes: Notes, status: int) -> str:
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return "error"
    return "warning" if notes.warning or isinstance(notes.refusal, SUSPICIOUS) else "info"
