"""Requests with limits on their time, size and number. Redirects are not followed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import SOCK_STREAM
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urljoin

import httpx2
import msgspec
from msgspec import Struct

from grantledger.domain.absolute_uri import AbsoluteUri, UriMalformed, parse

TIMEOUT = 10.0
"""Seconds for one request with its response. Claude gives up on discovery after the same time."""

MAX_RESPONSE = 256 * 1024
"""Bytes of a response that are read."""

MAX_REQUESTS = 200

FOR_CLEANING = 100
"""Additional requests, which revoke and delete what was created."""

ORIGIN = "http://localhost:6274"
"""The origin of a client in a browser: that of MCP Inspector."""

_REDIRECTS = range(300, 400)
_OK = 200
_EVENT_STREAM = "text/event-stream"


class Reach(IntEnum):
    """From where a host can be reached. The higher the value, the fewer machines can reach it."""

    INTERNET = 0
    PRIVATE_NETWORK = 1
    THIS_MACHINE = 2


Resolve = Callable[[str], Awaitable[list[str]]]
"""Returns the addresses of a host, none if this machine cannot resolve it."""


class RequestLimitReached(Exception):  # noqa: N818 - named for the fact
    """The examination has sent as many requests as it may."""


class Answer(Struct, frozen=True, kw_only=True):
    """A response. If there was none, `status` is 0 and `failure` says why."""

    method: str
    url: str
    status: int
    headers: httpx2.Headers
    body: bytes = b""
    failure: str = ""

    @property
    def ok(self) -> bool:
        return self.status == _OK

    @property
    def redirect(self) -> str | None:
        """The URL that the response redirects to, None if there is none or it is malformed."""
        location = self.headers.get("location")
        if not location or self.status not in _REDIRECTS:
            return None
        try:
            return urljoin(self.url, location)
        except ValueError:
            return None

    @property
    def is_page(self) -> bool:
        return "html" in self.headers.get("content-type", "")

    @property
    def json(self) -> dict[str, Any] | None:
        """The body if it is a JSON object."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None

    @property
    def error(self) -> str:
        """The error code of OAuth in the body, "" without one."""
        code = (self.json or {}).get("error")
        return code if isinstance(code, str) else ""

    @property
    def seen(self) -> str:
        """The request and its response in a few words. Without query and body, it contains no token."""
        if not self.status:
            outcome = f"gets no response ({self.failure})"
        elif self.redirect is not None:
            outcome = f"answers {self.status}, a redirect to {without_query(self.redirect)}"
        else:
            outcome = f"answers {self.status}{f' {self.error[:60]}' if self.error else ''}"
        return f"{self.method} {without_query(self.url)} {outcome}"


class Http:
    """Sends the requests of one examination. `get` asks each URL only once."""

    def __init__(
        self,
        http: httpx2.AsyncClient | None = None,
        progress: Callable[[int], None] | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._given = http
        self._own: dict[bool, httpx2.AsyncClient] = {}
        self._progress = progress
        self._known: dict[str, Answer] = {}
        self._resolve = resolve or addresses_of
        self._addresses: dict[str, list[str]] = {}
        self._examined: AbsoluteUri | None = None
        self.requests = 0
        self._limit = MAX_REQUESTS

    def allow_cleaning(self) -> None:
        """Allow some more requests, which remove what was created."""
        self._limit = MAX_REQUESTS + FOR_CLEANING

    def examines(self, url: str) -> None:
        """Set the examined URL. URLs that its servers name must not lead to a more private network.

        Raises `UriMalformed`.
        """
        self._examined = parse(url)

    async def get(self, url: str) -> Answer:
        """Return the response to a GET as a client in a browser sends it."""
        if url not in self._known:
            headers = {"accept": "application/json", "origin": ORIGIN}
            self._known[url] = await self.send("GET", url, headers=headers)
        return self._known[url]

    @property
    def documents(self) -> list[Answer]:
        """Every JSON document that `get` has found."""
        return [answer for answer in self._known.values() if answer.ok and answer.json is not None]

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> Answer:
        """Return the response. Raises `RequestLimitReached`."""
        if not await self._may_ask(url):
            return Answer(method=method, url=url, status=0, headers=httpx2.Headers(), failure="not asked")
        if self.requests >= self._limit:
            raise RequestLimitReached(f"the limit of {self._limit} requests is reached")
        self.requests += 1
        if self._progress is not None:
            self._progress(self.requests)
        client, content = self._client(url), None
        client.cookies.clear()  # like MCP clients: a request with a cookie looks like one of a browser
        if form is not None:
            headers = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
            content = urlencode(form)
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                client.stream(
                    method, url, headers=headers, content=content, json=json, follow_redirects=False
                ) as response,
            ):
                body = await _read(response)
                return Answer(
                    method=method, url=url, status=response.status_code, headers=response.headers, body=body
                )
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError, ValueError) as error:
            # Only the type of the error: its message may contain the URL with its query.
            return Answer(
                method=method, url=url, status=0, headers=httpx2.Headers(), failure=type(error).__name__
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._own.values():
            await client.aclose()

    async def _may_ask(self, url: str) -> bool:
        """Whether the URL is as safe as the examined one: with https, and not in a more private network."""
        uri, examined = _web_uri(url), self._examined
        if uri is None or examined is None:
            return False
        if uri.origin == examined.origin:
            return True
        reaches = await self._reaches(uri)
        if max(reaches) > min(await self._reaches(examined)):
            return False
        local = min(reaches) is Reach.THIS_MACHINE
        return local or uri.scheme == "https" or examined.scheme == "http"

    async def _reaches(self, uri: AbsoluteUri) -> list[Reach]:
        """Return the reach of each address of the host."""
        if uri.is_this_machine:
            return [Reach.THIS_MACHINE]
        host = (uri.host or "").strip("[]").lower()
        try:
            return [_reach(host)]
        except ValueError:  # a name
            if host not in self._addresses:
                self._addresses[host] = await self._resolve(host)
        # A proxy that the environment sets may resolve a name that this machine cannot.
        return [_reach(address) for address in self._addresses[host]] or [Reach.INTERNET]

    def _client(self, url: str) -> httpx2.AsyncClient:
        if self._given is not None:
            return self._given
        uri = parse(without_query(url))
        loopback = uri.is_this_machine
        if loopback not in self._own:
            # A proxy that the environment sets does not reach this machine. http needs no certificates, and
            # reading them takes long.
            verify = not (loopback and uri.scheme == "http")
            self._own[loopback] = httpx2.AsyncClient(
                timeout=TIMEOUT,
                trust_env=not loopback,
                verify=verify,
                headers={"user-agent": "grantledger-doctor"},
            )
        return self._own[loopback]


async def _read(response: httpx2.Response) -> bytes:
    if _EVENT_STREAM in response.headers.get("content-type", ""):
        return b""  # it may never end
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= MAX_RESPONSE:
            break
    return bytes(body[:MAX_RESPONSE])


async def addresses_of(host: str) -> list[str]:
    """Ask the resolver of this machine for the addresses of a host, none if it has no answer in time."""
    try:
        async with asyncio.timeout(TIMEOUT):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]


def _reach(address: str) -> Reach:
    """Return the reach of an IP address. Raises `ValueError`."""
    ip: IPv4Address | IPv6Address = ip_address(address)
    ip = (ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip
    if ip.is_loopback or ip.is_unspecified:
        return Reach.THIS_MACHINE
    return Reach.INTERNET if ip.is_global else Reach.PRIVATE_NETWORK


def _web_uri(url: str) -> AbsoluteUri | None:
    """Return the parts of a web URL without its query, None if it is malformed or has a user name."""
    try:
        uri = parse(without_query(url))
    except UriMalformed:
        return None
    return uri if uri.is_web and uri.userinfo is None else None


def is_web(url: str) -> bool:
    """Whether it is a URL with http or https that every program reads the same way."""
    return _web_uri(url) is not None


def is_loopback(url: str) -> bool:
    """Whether the URL is on this machine."""
    try:
        return parse(url).is_loopback
    except UriMalformed:
        return False


def without_query(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]
