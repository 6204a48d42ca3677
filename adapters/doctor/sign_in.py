"""Authorization requests of a registered client, and the loopback server to which the browser returns."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from grantledger.adapters.doctor.endpoints import judge_cookies, with_query
from grantledger.adapters.doctor.http import Answer, Http
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.subject import Subject
from grantledger.adapters.guards.discovery_paths import origin_of
from grantledger.domain.digests import sha256

SIGN_IN_TIMEOUT = 300.0
"""Seconds that a user has for a sign-in."""

SHORT_TIMEOUT = 60.0
"""Seconds for a request that the server should refuse. It may show a page that does not return here."""

_MAX_REQUEST = 16 * 1024
_READ_TIMEOUT = 10.0
_PATH = "/callback"
_PAGE = (
    b"<!doctype html><title>grantledger doctor</title><p>You can close this page and go back to the terminal."
)
_MAX_REDIRECTS = 3
_ERROR = range(400, 600)

OpenBrowser = Callable[[str], Awaitable[None]]
"""Opens a URL in the user's browser. It need not wait until the user has signed in."""


class SignInTimedOut(Exception):  # noqa: N818 - named for the fact
    """No response came from the browser in time."""


class Request(Struct, frozen=True):
    """An authorization request with the secrets of its client."""

    url: str
    state: str
    verifier: str


class Callback:
    """A redirect URI on loopback: collects the parameters of each response."""

    def __init__(self) -> None:
        self._responses: asyncio.Queue[dict[str, list[str]]] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self.redirect_uri = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, limit=_MAX_REQUEST)
        port = self._server.sockets[0].getsockname()[1]
        self.redirect_uri = f"http://127.0.0.1:{port}{_PATH}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def response(self, timeout: float) -> dict[str, list[str]]:  # noqa: ASYNC109 - the user's time
        """Return the parameters of the next response. Raises `SignInTimedOut`."""
        try:
            return await asyncio.wait_for(self._responses.get(), timeout)
        except TimeoutError:
            raise SignInTimedOut(f"no response came from the browser in {timeout:.0f} s") from None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _READ_TIMEOUT)
            method, target, _ = head.partition(b"\r\n")[0].decode("ascii").split(" ", 2)
            found = method == "GET" and urlsplit(target).path == _PATH
            if found:  # before the page is sent, because the user may continue as soon as it is shown
                self._responses.put_nowait(parse_qs(urlsplit(target).query, keep_blank_values=True))
            writer.write(
                b"HTTP/1.1 %s\r\ncontent-type: text/html; charset=utf-8\r\ncache-control: no-store\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s"
                % (b"200 OK" if found else b"404 Not Found", len(_PAGE), _PAGE)
            )
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            return  # not a browser
        finally:
            writer.close()


class Authorizations:
    """The authorization requests of one registered client."""

    def __init__(
        self,
        subject: Subject,
        http: Http,
        report: Report,
        *,
        client_id: str,
        callback: Callback,
        other_port: Callback,
        open_browser: OpenBrowser,
    ) -> None:
        endpoint = subject.endpoint("authorization_endpoint")
        assert endpoint is not None
        self._endpoint = endpoint
        self._subject = subject
        self._client_id = client_id
        self._callback = callback
        self._other_port = other_port
        self._open_browser = open_browser
        self._http = http
        self._report = report
        self._states: set[str] = set()
        self.is_late = False
        """Whether the server checks a request only after the sign-in."""

    @property
    def client_id(self) -> str:
        return self._client_id

    @property
    def redirect_uri(self) -> str:
        return self._callback.redirect_uri

    @property
    def resource(self) -> str | None:
        """The resource for which the client asks a token, None if only an issuer is examined."""
        if self._subject.is_issuer:
            return None
        return self._subject.named_resource

    def request(self, **changes: str | None) -> Request:
        """Return a request as the SDKs send it. A parameter with the value None is left out."""
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        challenge = sha256(verifier.encode())
        scope = self._scope()
        query: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self.redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": self.resource,
            "scope": scope or None,
            "prompt": "consent" if "offline_access" in scope.split() else None,
            **changes,
        }
        self._states.add(state)
        sent = {name: value for name, value in query.items() if value is not None}
        return Request(with_query(self._endpoint, sent), state, verifier)

    async def examine(self) -> bool:
        """Judge what needs no user, such as HEAD, a missing code challenge, and another port on loopback.

        Returns whether a valid request is accepted. If it is not, refusals of wrong requests prove nothing.
        """
        valid = await self._sent(self.request())
        accepted = not self._is_refused(valid)
        if not self._report.judge("authorization-response", accepted, f"a valid request: {valid.seen}"):
            return False
        judge_cookies(valid, self._report)
        await self._framing(valid)
        head = await self._sent(self.request(), "HEAD")
        self._report.judge(
            "authorize-head", head.status == valid.status, f"{head.seen}, and GET {valid.status}"
        )
        await self._prompt_none()
        bare = self.request(code_challenge=None, code_challenge_method=None)
        answer = await self._sent(bare)
        if self._is_refused(answer):
            self._report.judge("pkce-required", True, "")
            if "error" in (response := self._parameters(answer)):
                self.judge_error(response, bare)
        elif "code" in self._parameters(answer):
            self._report.judge("pkce-required", False, f"without a code challenge {answer.seen}, with a code")
        else:
            self.is_late = True
        other = await self._sent(self.request(redirect_uri=self._other_port.redirect_uri))
        if self._is_refused(other) or not self.is_late:
            self._report.judge("loopback-port", not self._is_refused(other), f"at another port {other.seen}")
        return True

    async def _framing(self, answer: Answer) -> None:
        """Judge the page that the user sees first, on the host of the endpoint."""
        cookies: list[str] = []
        for _ in range(_MAX_REDIRECTS):
            cookies += [one.partition(";")[0] for one in answer.headers.get_list("set-cookie")]
            target = answer.redirect
            if target is None or origin_of(target) != origin_of(self._endpoint):
                break
            headers = {"accept": "text/html", **({"cookie": "; ".join(cookies)} if cookies else {})}
            answer = await self._http.send("GET", target, headers=headers)
        if not answer.ok or not answer.is_page:
            return
        policy = answer.headers.get("content-security-policy", "")
        closed = "frame-ancestors" in policy or "x-frame-options" in answer.headers
        self._report.judge("framing", closed, f"{answer.seen} without frame-ancestors and X-Frame-Options")

    async def _prompt_none(self) -> None:
        if "openid" not in self._subject.names("scopes_supported"):
            return  # the parameter is OpenID Connect's
        request = self.request(prompt="none")
        answer = await self._sent(request)
        self._report.judge("prompt-none", self._is_refused(answer), answer.seen)
        if "error" in (response := self._parameters(answer)):
            self.judge_error(response, request)

    async def judge_other_port(self) -> None:
        """Judge a redirect URI at another port after a sign-in: some servers check it only then."""
        await self._open_browser(self.request(redirect_uri=self._other_port.redirect_uri).url)
        try:
            response = await self._other_port.response(SHORT_TIMEOUT)
        except SignInTimedOut as timed_out:
            self._report.judge("loopback-port", False, f"at another port {timed_out}")
        else:
            self._report.judge("loopback-port", "code" in response, "no code at another port")

    async def sign_in(self, request: Request, *, soon: bool = False) -> dict[str, str]:
        """Let the user sign in and return the parameters of the response. Raises `SignInTimedOut`.

        `soon`: the user has signed in before. The server may show a page that does not return here, so the
        timeout is short.
        """
        await self._open_browser(request.url)
        while True:
            found = await self._callback.response(SHORT_TIMEOUT if soon else SIGN_IN_TIMEOUT)
            state = found.get("state", [""])[0]
            is_response = "code" in found or "error" in found  # any page may send a browser here
            if state == request.state or (is_response and state not in self._states):
                return {name: values[0] for name, values in found.items()}

    def judge_response(self, response: dict[str, str], request: Request) -> str | None:
        """Judge the response to a valid request, and return its code as `code_of` does."""
        judge, error = self._report.judge, response.get("error", "no error")
        judge("authorization-response", response.get("code"), f"no code, but {error[:60]}")
        judge("authorization-response", response.get("state") == request.state, "another state, or none")
        return self.code_of(response)

    def code_of(self, response: dict[str, str]) -> str | None:
        """Judge `iss`, and return the code if it may be sent to this server.

        If `iss` is wrong, or missing though advertised, the code may be that of another server. Redeeming it
        here would give it away, together with the verifier (RFC 9207 section 2.4).
        """
        is_right = self._judge_iss("authorization-response", response)
        return response.get("code") if is_right else None

    def judge_error(self, response: dict[str, str], request: Request) -> None:
        """Judge a redirect with an error."""
        same = response.get("state") == request.state
        self._report.judge("error-response", same, f"{response.get('error', '')[:60]} without the state")
        self._judge_iss("error-response", response)

    def _judge_iss(self, check: str, response: dict[str, str]) -> bool:
        advertised = self._subject.server.get("authorization_response_iss_parameter_supported") is True
        iss = response.get("iss")
        if not advertised and iss is None:
            return True
        issuer = self._subject.server.get("issuer")
        return self._report.judge(check, iss == issuer, f"iss is {iss!r}, but the issuer is {issuer!r}")

    def _scope(self) -> str:
        """Choose the scopes as the SDKs do: those of the challenge, else those of the metadata."""
        of_resource = " ".join(self._subject.names("scopes_supported", of_resource=True))
        scope = self._subject.challenge.get("scope") or of_resource
        names = scope.split()
        if names and "offline_access" in self._subject.names("scopes_supported"):
            names.append("offline_access")
        return " ".join(dict.fromkeys(names))

    async def _sent(self, request: Request, method: str = "GET") -> Answer:
        return await self._http.send(method, request.url, headers={"accept": "text/html"})

    def _parameters(self, answer: Answer) -> dict[str, str]:
        """Return the parameters of a redirect to the client, none for other answers."""
        target = answer.redirect or ""
        if urlsplit(target).path != _PATH:
            return {}
        return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}

    def _is_refused(self, answer: Answer) -> bool:
        return not answer.status or answer.status in _ERROR or "error" in self._parameters(answer)
