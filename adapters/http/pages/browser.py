"""The cookies of the pages: seen by no script, and sent to nobody else."""

import re
import zlib
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from litestar import Request
from litestar.datastructures import Cookie
from msgspec import Struct

from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.http.errors import FormForeign, ParkedRequestLost, RequestTooLarge
from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.parameters import Parameters
from grantledger.application.ports import Clock, Randomness
from grantledger.domain.authorization_request import AuthorizationRequest
from grantledger.domain.browser_session import BrowserSession


class PageCookies:
    """Make and name cookies that only the authorization pages receive.

    On https the `__Host-` prefix binds them to the host. On http loopback, where cookies reach every port,
    they carry the path of the pages: one without it would be sent to a client's own callback listener,
    which could then approve itself.
    """

    def __init__(self, issuer: str) -> None:
        parts = urlsplit(issuer)
        self._secure = parts.scheme.lower() == "https"
        self._prefix = "__Host-grantledger-" if self._secure else "grantledger-"
        self._path = "/" if self._secure else f"{parts.path.rstrip('/')}/authorize"

    def name(self, purpose: str) -> str:
        return f"{self._prefix}{purpose}"

    def purposes(self, cookies: dict[str, str]) -> dict[str, str]:
        """Return our cookies among those of a request, by purpose."""
        return {
            name.removeprefix(self._prefix): value
            for name, value in cookies.items()
            if name.startswith(self._prefix)
        }

    def set(self, purpose: str, value: str, *, max_age: int) -> Cookie:
        """`Lax`, so that it comes along when a client sends the browser here."""
        return self._cookie(purpose, value, max_age, "lax")

    def clear(self, purpose: str) -> Cookie:
        return self._cookie(purpose, "", 0, "lax")

    def _cookie(self, purpose: str, value: str, max_age: int, samesite: Literal["lax", "strict"]) -> Cookie:
        return Cookie(
            key=self.name(purpose),
            value=value,
            path=self._path,
            max_age=max_age,
            secure=self._secure,
            httponly=True,
            samesite=samesite,
        )


MAX_PARKED = 8
MAX_COOKIE = 3800
"""Browsers keep cookies of up to 4096 bytes with name and attributes."""

MAX_ALL_PARKED = 16 * 1024
"""Of all these cookies: with as much again for all else, a head stays within `limits.MAX_HEAD`."""

_MAX_UNPACKED = 64 * 1024
_PENDING = "request-"
_TRANSACTION_ID = re.compile(r"[A-Za-z0-9_-]{16}")


class ParkedRequests:
    """One cookie per request, named by its transaction id, which is all that the URL carries."""

    def __init__(self, box: SealedBox, cookies: PageCookies, clock: Clock) -> None:
        self._box = box
        self._cookies = cookies
        self._clock = clock
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(AuthorizationRequest)

    def park(self, request: AuthorizationRequest, carried: dict[str, str]) -> list[Cookie]:
        """Return the cookie that keeps the request, and those that make room for it.

        `carried` are the cookies that the browser sent. Raises `RequestTooLarge`.
        """
        sealed = self._box.seal(zlib.compress(self._encoder.encode(request), 6), request.transaction_id)
        if len(sealed) > MAX_COOKIE:
            raise RequestTooLarge
        lifetime = request.expires_at - self._clock.now()
        kept = self._cookies.set(_PENDING + request.transaction_id, sealed, max_age=lifetime)
        return [
            kept,
            *(self.forget(transaction_id) for transaction_id in self._superfluous(carried, len(sealed))),
        ]

    def find(self, transaction_id: str, carried: dict[str, str]) -> AuthorizationRequest | None:
        """Return the parked request, None when it is not there, not ours or has expired."""
        sealed = self._cookies.purposes(carried).get(_PENDING + transaction_id)
        if sealed is None or not _TRANSACTION_ID.fullmatch(transaction_id):
            return None
        return self._opened(transaction_id, sealed)

    def forget(self, transaction_id: str) -> Cookie:
        return self._cookies.clear(_PENDING + transaction_id)

    def _opened(self, transaction_id: str, sealed: str) -> AuthorizationRequest | None:
        packed = self._box.open(sealed, transaction_id)
        if packed is None:
            return None
        # Sealed by us; bounded all the same.
        unpacked = zlib.decompressobj().decompress(packed, _MAX_UNPACKED)
        try:
            request = self._decoder.decode(unpacked)
        except msgspec.MsgspecError:  # by another release, which parked requests of another shape
            return None
        return request if self._clock.now() < request.expires_at else None

    def _superfluous(self, carried: dict[str, str], coming: int) -> list[str]:
        """Return what must go so that 8 stay at most, of 16 KiB at most: what is dead, then the oldest."""
        parked = {
            purpose.removeprefix(_PENDING): sealed
            for purpose, sealed in self._cookies.purposes(carried).items()
            if purpose.startswith(_PENDING)
        }
        opened = {
            transaction_id: self._opened(transaction_id, sealed)
            for transaction_id, sealed in parked.items()
            if _TRANSACTION_ID.fullmatch(transaction_id)
        }
        gone = [transaction_id for transaction_id, request in opened.items() if request is None]
        alive = [request for request in opened.values() if request is not None]
        room, size = MAX_PARKED - 1, MAX_ALL_PARKED - coming
        # Backwards as they came: of those that were parked in one second, too, the last is the newest.
        alive.sort(key=lambda request: request.expires_at)
        for request in reversed(alive):
            room, size = room - 1, size - len(parked[request.transaction_id])
            if room < 0 or size < 0:
                gone.append(request.transaction_id)
        return gone


ACCOUNT = "account"
"""Stands in the path where a transaction id would; no transaction id is as short."""

_VISIT = "visit"
_VISIT_LIFETIME = 24 * 3600


class Visit(Struct, frozen=True, kw_only=True):
    """`place` is what the path carries. Forms are bound to `ticket`, which the browser's cookies prove."""

    place: str
    url: str
    ticket: str
    waiting: AuthorizationRequest | None = None


class Visits:
    def __init__(
        self, base_path: str, parked: ParkedRequests, cookies: PageCookies, randomness: Randomness
    ) -> None:
        self._base_path = base_path
        self._parked = parked
        self._cookies = cookies
        self._randomness = randomness

    def of_request(self, waiting: AuthorizationRequest) -> Visit:
        place = waiting.transaction_id
        return Visit(place=place, url=self._url(place), ticket=place, waiting=waiting)

    def find(self, request: Request[Any, Any, Any], place: str) -> Visit:
        """Return the visit that this browser is on. Raises `ParkedRequestLost`."""
        if place == ACCOUNT:
            cookie = request.cookies.get(self._cookies.name(_VISIT))
            if not cookie:
                raise ParkedRequestLost
            return self._of_account(cookie)
        waiting = self._parked.find(place, request.cookies)
        if waiting is None:
            raise ParkedRequestLost
        note_client(request.scope, waiting.client_id)
        return self.of_request(waiting)

    def begin(self, request: Request[Any, Any, Any]) -> tuple[Visit, Cookie]:
        """Return a visit to the account, with the cookie that binds its forms to this browser."""
        known = request.cookies.get(self._cookies.name(_VISIT)) or self._randomness.token(size=16)
        return self._of_account(known), self._cookies.set(_VISIT, known, max_age=_VISIT_LIFETIME)

    def resumable(self, request: Request[Any, Any, Any]) -> str | None:
        """Return where the page of a request goes on that failed, None where it goes on nowhere."""
        place = (
            request.scope["path"].removeprefix(f"{self._base_path}/authorize").strip("/").partition("/")[0]
        )
        if place == ACCOUNT or self._parked.find(place, request.cookies) is not None:
            return self._url(place)
        return None

    @property
    def account_url(self) -> str:
        return self._url(ACCOUNT)

    def _of_account(self, cookie: str) -> Visit:
        return Visit(place=ACCOUNT, url=self.account_url, ticket=f"{ACCOUNT} {cookie}")

    def _url(self, place: str) -> str:
        return f"{self._base_path}/authorize/{place}"


FIELD = "csrf_token"

_CSRF = "form token"


class FormTokens:
    """The visit's cookie proves the browser; the token proves that our page was read there."""

    def __init__(self, digests: KeyedDigests) -> None:
        self._digests = digests

    def make(self, visit: Visit, session: BrowserSession | None) -> str:
        return self._digests.digest(_CSRF, *_parts(visit, session))

    def fits(self, form: Parameters, visit: Visit, session: BrowserSession | None) -> bool:
        return self._digests.matches(form.get(FIELD) or "", _CSRF, *_parts(visit, session))

    def check(self, form: Parameters, visit: Visit, session: BrowserSession | None) -> None:
        """Raises `FormForeign`."""
        if not self.fits(form, visit, session):
            raise FormForeign


def _parts(visit: Visit, session: BrowserSession | None) -> tuple[str, str, str]:
    return (visit.ticket, session.session_id if session else "", session.user_id if session else "")
