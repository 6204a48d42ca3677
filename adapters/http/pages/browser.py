"""What a browser keeps for the pages: cookies, pending requests, and the CSRF binding of forms."""

import re
import zlib
from urllib.parse import urlsplit

import msgspec
from litestar.datastructures import Cookie
from msgspec import Struct

from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.http.errors import FormForeign, PendingRequestLost, RequestTooLarge
from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.parameters import Parameters
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.ports import Clock, Randomness
from grantledger.domain.authorization_request import AuthorizationRequest
from grantledger.domain.browser_session import BrowserSession


class PageCookies:
    """Makes and names the cookies of the pages. No script can read them.

    On https the `__Host-` prefix binds them to the host. On http loopback, where browsers send cookies to
    every port, their path is that of the pages: without it they would reach a client's own callback listener,
    which could then approve its own request.
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
        """Return a cookie. It is `Lax`, so that the browser sends it when a client redirects here."""
        return Cookie(
            key=self.name(purpose),
            value=value,
            path=self._path,
            max_age=max_age,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def clear(self, purpose: str) -> Cookie:
        return self.set(purpose, "", max_age=0)


MAX_PENDING = 8
MAX_COOKIE = 3800
"""Browsers accept cookies of up to 4096 bytes, with name and attributes."""

MAX_ALL_PENDING = 16 * 1024
"""Of all these cookies together: half of `limits.MAX_HEAD`, the rest is for other headers."""

_MAX_UNPACKED = 64 * 1024
_PENDING = "request-"
_TRANSACTION_ID = re.compile(r"[A-Za-z0-9_-]{16}")


class PendingRequests:
    """Keeps each authorization request in a sealed cookie. The URL carries only its transaction id."""

    def __init__(self, box: SealedBox, cookies: PageCookies, clock: Clock) -> None:
        self._box = box
        self._cookies = cookies
        self._clock = clock
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(AuthorizationRequest)

    def keep(self, request: AuthorizationRequest, sent_cookies: dict[str, str]) -> list[Cookie]:
        """Return the cookie that keeps the request, and those that delete others to make room.

        `sent_cookies` are the cookies that the browser sent. Raises `RequestTooLarge`.
        """
        sealed = self._box.seal(zlib.compress(self._encoder.encode(request), 6), request.transaction_id)
        if len(sealed) > MAX_COOKIE:
            raise RequestTooLarge
        lifetime = request.expires_at - self._clock.now()
        kept = self._cookies.set(_PENDING + request.transaction_id, sealed, max_age=lifetime)
        surplus = self._surplus(sent_cookies, len(sealed))
        return [kept, *(self.forget(transaction_id) for transaction_id in surplus)]

    def find(self, transaction_id: str, sent_cookies: dict[str, str]) -> AuthorizationRequest | None:
        """Return the pending request, None if there is no such cookie, or it is not ours or has expired."""
        sealed = self._cookies.purposes(sent_cookies).get(_PENDING + transaction_id)
        if sealed is None or not _TRANSACTION_ID.fullmatch(transaction_id):
            return None
        return self._opened(transaction_id, sealed)

    def forget(self, transaction_id: str) -> Cookie:
        """Return the cookie that deletes the request."""
        return self._cookies.clear(_PENDING + transaction_id)

    def _opened(self, transaction_id: str, sealed: str) -> AuthorizationRequest | None:
        packed = self._box.open(sealed, transaction_id)
        if packed is None:
            return None
        # Bounded, although only we can have sealed it.
        unpacked = zlib.decompressobj().decompress(packed, _MAX_UNPACKED)
        try:
            request = self._decoder.decode(unpacked)
        except msgspec.MsgspecError:  # sealed by another release
            return None
        return request if self._clock.now() < request.expires_at else None

    def _surplus(self, sent_cookies: dict[str, str], new_size: int) -> list[str]:
        """Return the transactions to delete, so that at most 8 stay, of at most 16 KiB together.

        Those that cannot be opened go first, then the oldest.
        """
        sealed_by_id = {
            purpose.removeprefix(_PENDING): sealed
            for purpose, sealed in self._cookies.purposes(sent_cookies).items()
            if purpose.startswith(_PENDING)
        }
        opened = {
            transaction_id: self._opened(transaction_id, sealed)
            for transaction_id, sealed in sealed_by_id.items()
            if _TRANSACTION_ID.fullmatch(transaction_id)
        }
        surplus = [transaction_id for transaction_id, request in opened.items() if request is None]
        alive = [request for request in opened.values() if request is not None]
        room, size = MAX_PENDING - 1, MAX_ALL_PENDING - new_size
        # The sort is stable: of requests that expire in the same second, the last cookie is the newest.
        alive.sort(key=lambda request: request.expires_at)
        for request in reversed(alive):
            room, size = room - 1, size - len(sealed_by_id[request.transaction_id])
            if room < 0 or size < 0:
                surplus.append(request.transaction_id)
        return surplus


ACCOUNT = "account"
"""The URL segment of the account pages, where other pages have a transaction id of 16 characters."""

_BROWSER = "visit"
"""The purpose of the cookie that the forms of the account pages are bound to."""

_BROWSER_LIFETIME = 24 * 3600


class PageContext(Struct, frozen=True, kw_only=True):
    """What a page is about: the account, or a pending request.

    `segment` is its part of the URL. Forms are bound to `csrf_binding`, which only this browser's cookies
    prove.
    """

    segment: str
    url: str
    csrf_binding: str
    pending: AuthorizationRequest | None = None


class PageContexts:
    """Finds the page context of a request by its URL segment and the browser's cookies."""

    def __init__(
        self,
        base_path: str,
        pending_requests: PendingRequests,
        cookies: PageCookies,
        randomness: Randomness,
    ) -> None:
        self._base_path = base_path
        self._pending_requests = pending_requests
        self._cookies = cookies
        self._randomness = randomness

    def of_pending(self, pending: AuthorizationRequest) -> PageContext:
        segment = pending.transaction_id
        return PageContext(segment=segment, url=self._url(segment), csrf_binding=segment, pending=pending)

    def of_account(self, request: AnyRequest) -> tuple[PageContext, Cookie]:
        """Return the context of the account pages, and the cookie that binds their forms to this browser."""
        browser = request.cookies.get(self._cookies.name(_BROWSER)) or self._randomness.token(size=16)
        return self._account(browser), self._cookies.set(_BROWSER, browser, max_age=_BROWSER_LIFETIME)

    def find(self, request: AnyRequest, segment: str) -> PageContext:
        """Return the context that this browser has for the segment. Raises `PendingRequestLost`."""
        if segment == ACCOUNT:
            browser = request.cookies.get(self._cookies.name(_BROWSER))
            if not browser:
                raise PendingRequestLost
            return self._account(browser)
        pending = self._pending_requests.find(segment, request.cookies)
        if pending is None:
            raise PendingRequestLost
        note_client(request.scope, pending.client_id)
        return self.of_pending(pending)

    def resumable(self, request: AnyRequest) -> str | None:
        """Return the URL where a user can continue after an error, None if there is none."""
        path = request.scope["path"].removeprefix(f"{self._base_path}/authorize")
        segment = path.strip("/").partition("/")[0]
        if segment == ACCOUNT or self._pending_requests.find(segment, request.cookies) is not None:
            return self._url(segment)
        return None

    @property
    def account_url(self) -> str:
        return self._url(ACCOUNT)

    def _account(self, browser: str) -> PageContext:
        return PageContext(segment=ACCOUNT, url=self.account_url, csrf_binding=f"{ACCOUNT} {browser}")

    def _url(self, segment: str) -> str:
        return f"{self._base_path}/authorize/{segment}"


CSRF_FIELD = "csrf_token"

_CSRF = "form token"


class CsrfTokens:
    """A token proves that the form comes from our page, in this browser, for this context and session."""

    def __init__(self, digests: KeyedDigests) -> None:
        self._digests = digests

    def make(self, context: PageContext, session: BrowserSession | None) -> str:
        return self._digests.digest(_CSRF, *_bound_to(context, session))

    def fits(self, form: Parameters, context: PageContext, session: BrowserSession | None) -> bool:
        return self._digests.matches(form.get(CSRF_FIELD) or "", _CSRF, *_bound_to(context, session))

    def check(self, form: Parameters, context: PageContext, session: BrowserSession | None) -> None:
        """Raises `FormForeign`."""
        if not self.fits(form, context, session):
            raise FormForeign


def _bound_to(context: PageContext, session: BrowserSession | None) -> tuple[str, str, str]:
    return (
        context.csrf_binding,
        session.session_id if session else "",
        session.user_id if session else "",
    )
