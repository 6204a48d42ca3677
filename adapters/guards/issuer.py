"""Requests to the issuer of the tokens, and its discovery documents."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from grantledger.adapters.guards.discovery_paths import (
    AUTHORIZATION_SERVER,
    OPENID_CONFIGURATION,
    origin_of,
    path_of,
)
from grantledger.adapters.guards.source import IssuerDocument
from grantledger.adapters.guards.token_cache import SingleFlight
from grantledger.application.ports import Unavailable
from grantledger.domain.absolute_uri import AbsoluteUri, UriMalformed, parse

_log = logging.getLogger(__name__)

TIMEOUT = 5.0
"""Seconds for one request to the issuer, with its whole response."""

MAX_RESPONSE = 256 * 1024
"""Bytes. A response that is longer is not read to its end."""

FRESH_FOR = 60.0
RETRY_IN = 5.0
"""Seconds after a failure in which the issuer is not asked for a document again."""

KEPT_WHILE_MISSING = 3_600.0
"""Seconds for which the last good document is used while the issuer answers that it has none."""

_OK = 200
_MISSING = range(400, 500)
_TOO_MANY = 429
_DOWN = range(500, 600)


def checked_url(url: str, what: str) -> str:
    """Return `url` unchanged if it is https, or http on loopback. Raises `ValueError`."""
    try:
        uri = parse(url)
    except UriMalformed as malformed:
        raise ValueError(f"{what} {url!r} {malformed}") from None
    if uri.scheme not in ("http", "https") or (uri.scheme == "http" and not uri.is_loopback):
        raise ValueError(f"{what} {url!r} must be https, or http on loopback")
    if uri.userinfo is not None or uri.fragment is not None:
        raise ValueError(f"{what} {url!r} must have no user name and no fragment")
    return url


def checked_endpoint(url: str, what: str, *, issuer: str) -> str:
    """Return `url`, which the metadata of `issuer` names, unchanged. Raises `ValueError`.

    The endpoints of an https issuer must be https. Only an issuer on this machine or in a private network may
    have endpoints there: otherwise its metadata could make a guard call services that only the guard reaches.
    Host names are not resolved.
    """
    checked_url(url, what)
    endpoint, origin = parse(url), parse(issuer)
    if origin.scheme == "https" and endpoint.scheme != "https":
        raise ValueError(f"{what} {url!r} is not https, but its issuer is")
    if not _is_public(endpoint) and _is_public(origin):
        raise ValueError(f"{what} {url!r} is on this machine or in a private network, but its issuer is not")
    return url


def _is_public(uri: AbsoluteUri) -> bool:
    """Whether the host is a name, or an address of the internet."""
    if uri.is_this_machine:
        return False
    try:
        address = ip_address((uri.host or "").strip("[]"))
    except ValueError:  # a name
        return True
    return address.is_global


class Fetched(Struct, frozen=True):
    """A response of the issuer."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the JSON object. Raises `Unavailable` for any other body, such as the page of a proxy."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise Unavailable("the response of the issuer is not a JSON object") from None


class IssuerHttp:
    """Requests with a limit on time and size. No redirect is followed: it would take a token elsewhere."""

    def __init__(self, http: httpx2.AsyncClient | None = None) -> None:
        self._given = http
        self._own: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Return the response. Raises `Unavailable`."""
        asked = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._client().stream(
                    method, url, headers=asked, data=form, follow_redirects=False
                ) as response,
            ):
                return Fetched(response.status_code, await _read(response))
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            # Without the message of the error, which may contain the URL with its query.
            raise Unavailable(f"no response from {origin_of(url)}: {type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close the connections. A client that was given to the constructor stays open."""
        if self._own is not None:
            await self._own.aclose()
            self._own = None

    def _client(self) -> httpx2.AsyncClient:
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        if self._own is None or self._loop is not loop:  # connections belong to their event loop
            self._own, self._loop = httpx2.AsyncClient(timeout=TIMEOUT), loop
        return self._own


async def _read(response: httpx2.Response) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Unavailable("the response of the issuer is compressed, which was not asked for")
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_RESPONSE:
            raise Unavailable(f"the response of the issuer is longer than {MAX_RESPONSE} bytes")
    return bytes(body)


class _Document(Struct):
    """A discovery document; `body` is None if the issuer has none."""

    body: bytes | None
    members: dict[str, Any]
    read_at: float
    fresh_until: float


class _Failure(Struct):
    """Why a document could not be read. `is_down`: the issuer did not answer, or answered 5xx or 429."""

    reason: str
    is_down: bool
    until: float


class IssuerDocuments:
    """The discovery documents of an issuer, each fetched when it is needed and kept for 60 s.

    While the issuer does not answer, the last good document is used. For an hour it is also used while the
    issuer answers that there is no document, because a proxy may answer so in an outage.
    """

    def __init__(
        self, issuer: str, http: IssuerHttp, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._http = http
        self._monotonic = monotonic
        self._documents: dict[IssuerDocument, _Document] = {}
        self._failed: dict[IssuerDocument, _Failure] = {}
        self._flight = SingleFlight[_Document]()

    async def __call__(self, document: IssuerDocument, /) -> bytes | None:
        """Return the JSON as the issuer wrote it, None if it has no such document. Raises `Unavailable`."""
        return (await self._current(document)).body

    async def endpoint(self, member: str) -> str:
        """Return the URL that the metadata has as `member`. Raises `Unavailable`.

        A missing or malformed document is not an outage: the other document may name the endpoint.
        """
        failure = Unavailable(f"the metadata of {self._issuer} has no {member}")
        for document in ("oauth-authorization-server", "openid-configuration"):
            try:
                url = (await self._current(document)).members.get(member)
            except Unavailable as unusable:
                if self._failed[document].is_down:
                    raise
                failure = unusable
                continue
            if isinstance(url, str):
                try:
                    return checked_endpoint(url, member, issuer=self._issuer)
                except ValueError as error:
                    raise Unavailable(str(error)) from None
        raise failure

    async def _current(self, document: IssuerDocument) -> _Document:
        known = self._documents.get(document)
        if known is not None and self._monotonic() < known.fresh_until:
            return known
        try:
            return await self._flight(document, lambda: self._fetched(document))
        except Unavailable:
            if known is None:
                raise
            return known

    async def _fetched(self, document: IssuerDocument) -> _Document:
        failure = self._failed.get(document)
        if failure is not None and self._monotonic() < failure.until:
            raise Unavailable(f"a moment ago: {failure.reason}")
        is_down = True
        try:
            answer = await self._http.fetch("GET", self._url(document))
            is_down = answer.status in _DOWN or answer.status == _TOO_MANY
            read = self._read(answer)
        except Unavailable as error:
            self._failed[document] = _Failure(str(error), is_down, self._monotonic() + RETRY_IN)
            _log.warning("the metadata of %s cannot be read: %s", self._issuer, error)
            raise
        known = self._documents.get(document)
        if read.body is None and known is not None and known.body is not None:
            read = self._kept(known, read)
        self._documents[document] = read
        return read

    def _kept(self, known: _Document, missing: _Document) -> _Document:
        """Return the last good document, unless it is older than `KEPT_WHILE_MISSING`."""
        if missing.read_at >= known.read_at + KEPT_WHILE_MISSING:
            return missing
        _log.warning("the metadata of %s is missing; the last good copy is used", self._issuer)
        return replace(known, fresh_until=missing.fresh_until)

    def _read(self, answer: Fetched) -> _Document:
        now = self._monotonic()
        if answer.status in _MISSING and answer.status != _TOO_MANY:
            return _Document(None, {}, now, now + FRESH_FOR)
        return _Document(answer.body, self._checked(answer), now, now + FRESH_FOR)

    def _checked(self, answer: Fetched) -> dict[str, Any]:
        if answer.status != _OK:
            raise Unavailable(f"the issuer answered {answer.status}")
        members = answer.json()
        if members.get("issuer") != self._issuer:  # RFC 8414 section 3.3: such metadata MUST NOT be used
            raise Unavailable(f"it is the metadata of another issuer: {members.get('issuer')!r:.200}")
        return members

    def _url(self, document: IssuerDocument) -> str:
        if document == "openid-configuration":  # OpenID Connect Discovery section 4.1: appended to the path
            return self._issuer.rstrip("/") + OPENID_CONFIGURATION
        return f"{origin_of(self._issuer)}{AUTHORIZATION_SERVER}{path_of(self._issuer)}"


def issuer_base(issuer: str) -> str:
    """Return the URL that the endpoints of the issuer begin with, without a slash at its end."""
    return issuer[:-1] if urlsplit(issuer).path.endswith("/") else issuer
