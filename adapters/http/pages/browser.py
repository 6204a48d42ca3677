"""What a browser keeps for the pages: cookies, pending requests, and the CSRF binding of forms."""

import re
import zlib
from urllib.parse import quote_plus, urlsplit

import msgspec
from litestar.datastructures import Cookie
from msgspec import Struct
from msgspec.structs import replace

from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.http.errors import FormForeign, PendingRequestLost, RequestTooLarge
from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.pages.homes import Home, Homes, sent_cookies
from grantledger.adapters.http.parameters import Parameters
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.ports import Clock
from grantledger.domain.authorization_request import AuthorizationRequest
from grantledger.domain.browser_session import BrowserSession

_PENDING = "request-"


class PageCookies:
    """Makes and names the cookies of the pages. No script can read them.

    On an issuer with a host of its own, the `__Host-` prefix binds them to that host. On loopback every port
    receives them, so each cookie has a path that no other port can name, and holds half of a secret
    (`homes.py`).
    """

    def __init__(self, issuer: str, homes: Homes) -> None:
        self._secure = urlsplit(issuer).scheme.lower() == "https"
        self._by_path = homes.on_loopback
        self._prefix = "grantledger-" if homes.on_loopback else "__Host-grantledger-"

    def name(self, purpose: str, home: Home) -> str:
        """Return the name of a session's cookie. Another port cannot set a cookie of the same name."""
        return f"{self._prefix}{purpose}-{home.segment}" if home.segment else f"{self._prefix}{purpose}"

    def pending(self, cookies: dict[str, str]) -> dict[str, str]:
        """Return the cookies of pending requests, by transaction id."""
        prefix = self._prefix + _PENDING
        return {
            name.removeprefix(prefix): value for name, value in cookies.items() if name.startswith(prefix)
        }

    def sent_size(self, transaction_id: str, value: str) -> int:
        """Return the length of a pending request's cookie in a Cookie header, with `=` and `; `."""
        return len(self._prefix + _PENDING) + len(transaction_id) + len(value) + 3

    def set(self, purpose: str, value: str, home: Home, *, max_age: int) -> Cookie:
        """Return a cookie of one session."""
        return self._cookie(self.name(purpose, home), value, home.path, max_age)

    def set_pending(self, transaction_id: str, value: str, path: str, *, max_age: int) -> Cookie:
        return self._cookie(self._prefix + _PENDING + transaction_id, value, path, max_age)

    def clear(self, purpose: str, home: Home) -> Cookie:
        return self.set(purpose, "", home, max_age=0)

    def _cookie(self, name: str, value: str, path: str, max_age: int) -> Cookie:
        """Return a cookie. It is `Lax`, so that the browser sends it when a client redirects here."""
        return Cookie(
            key=name,
            value=value,
            path=path if self._by_path else "/",
            max_age=max_age,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )


MAX_PENDING = 8
MAX_ALL_PENDING = 4 * 1024
"""Bytes of all pending requests in the Cookie header. nginx accepts 8 KiB in one header line."""

MAX_SEALED = 3 * 1024
MAX_BESIDE_STATE = 1_200
"""Bytes of one request without its `state`. So 600 bytes of `state` always fit into `MAX_SEALED`."""

MAX_LOCATION = 3_000
"""Characters of the redirect URI with its `state`. nginx keeps 4 KiB for all headers of a response."""

_NEVER_TOO_LARGE = MAX_LOCATION // 3
"""Bytes of a request that is below every limit: a byte takes at most three characters in a URL."""

_MAX_SET_COOKIES = 3_300
"""Bytes of all Set-Cookie headers in one redirect. The rest of the 4 KiB is for its other headers."""

_SET_COOKIE = 150
"""Bytes of one Set-Cookie header without the value of the cookie."""

_MAX_UNPACKED = 64 * 1024
_TRANSACTION_ID = re.compile(r"[A-Za-z0-9_-]{22}")


class PendingRequests:
    """Keeps each authorization request in a sealed cookie. The URL carries only its transaction id."""

    def __init__(self, box: SealedBox, cookies: PageCookies, homes: Homes, clock: Clock) -> None:
        self._box = box
        self._cookies = cookies
        self._root = homes.root
        self._clock = clock
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(AuthorizationRequest)

    def keep(self, asked: AuthorizationRequest, request: AnyRequest) -> list[Cookie]:
        """Return the cookie that keeps `asked`, and the cookies that delete other requests to make room.

        Raises `RequestTooLarge`.
        """
        transaction_id = asked.transaction_id
        encoded = self._encoder.encode(asked)
        if len(encoded) > _NEVER_TOO_LARGE:
            self._check_size(asked)
        sealed = self._box.seal(zlib.compress(encoded, 6), transaction_id)
        if len(sealed) > MAX_SEALED:
            raise RequestTooLarge("state")
        surplus = self._surplus(request, transaction_id, sealed)
        deletable = (_MAX_SET_COOKIES - len(sealed)) // _SET_COOKIE - 1
        return [
            self._set(asked, sealed, self._path(transaction_id, self._root)),
            *(cookie for other in surplus[:deletable] for cookie in self.forget(other, self._root)),
        ]

    def trim(self, request: AnyRequest, transaction_id: str) -> list[Cookie]:
        """Return the cookies that delete what `keep` had no room to delete or could not see.

        If a browser sends several requests in parallel, none of them carries the cookies that the responses
        to the others set.
        """
        surplus = self._surplus(request, transaction_id)
        return [cookie for other in surplus for cookie in self.forget(other, self._root)]

    def carry(self, pending: AuthorizationRequest, request: AnyRequest, home: Home) -> Cookie:
        """Return a cookie with the same pending request for the path of a new session."""
        sealed = self._cookies.pending(sent_cookies(request))[pending.transaction_id]
        return self._set(pending, sealed, self._path(pending.transaction_id, home))

    def find(self, transaction_id: str, request: AnyRequest) -> AuthorizationRequest | None:
        """Return the pending request, or None if its cookie is missing, not ours, or expired."""
        if not _TRANSACTION_ID.fullmatch(transaction_id):
            return None
        sealed = self._cookies.pending(sent_cookies(request)).get(transaction_id)
        return None if sealed is None else self._opened(transaction_id, sealed)

    def forget(self, transaction_id: str, home: Home) -> list[Cookie]:
        """Return the cookies that delete the request, at the root and below the home of the session."""
        homes = [self._root, home] if home.segment else [self._root]
        return [
            self._cookies.set_pending(transaction_id, "", self._path(transaction_id, each), max_age=0)
            for each in homes
        ]

    def _check_size(self, asked: AuthorizationRequest) -> None:
        """Raises `RequestTooLarge`."""
        if len(self._encoder.encode(replace(asked, state=None))) > MAX_BESIDE_STATE:
            raise RequestTooLarge(_longest(asked))
        # 600 bytes of `state` always fit: they are at most 1,800 characters, and the redirect URI 1,200.
        if len(asked.redirect_uri) + len(quote_plus(asked.state or "")) > MAX_LOCATION:
            raise RequestTooLarge("state")

    def _set(self, pending: AuthorizationRequest, sealed: str, path: str) -> Cookie:
        lifetime = pending.expires_at - self._clock.now()
        return self._cookies.set_pending(pending.transaction_id, sealed, path, max_age=lifetime)

    def _path(self, transaction_id: str, home: Home) -> str:
        return home.path if home.segment else f"{home.path}/{transaction_id}"

    def _opened(self, transaction_id: str, sealed: str) -> AuthorizationRequest | None:
        packed = self._box.open(sealed, transaction_id)
        if packed is None:
            return None
        # The size is limited, although only this server can have sealed it.
        unpacked = zlib.decompressobj().decompress(packed, _MAX_UNPACKED)
        try:
            request = self._decoder.decode(unpacked)
        except msgspec.MsgspecError:  # sealed by another release
            return None
        return request if self._clock.now() < request.expires_at else None

    def _surplus(self, request: AnyRequest, transaction_id: str, sealed: str | None = None) -> list[str]:
        """Return the transactions to delete, oldest first, so that the remaining ones are within both limits.

        `transaction_id` is never one of them. `sealed` is its cookie if the browser does not have that cookie
        yet. Browsers send the cookies of one path in the order in which they got them (RFC 6265 section 5.4).
        """
        cookies = {
            other: value
            for other, value in self._cookies.pending(sent_cookies(request)).items()
            if _TRANSACTION_ID.fullmatch(other)
        }
        if sealed is not None:
            cookies[transaction_id] = sealed
        sizes = {other: self._cookies.sent_size(other, value) for other, value in cookies.items()}
        if len(sizes) <= MAX_PENDING and sum(sizes.values()) <= MAX_ALL_PENDING:
            return []
        room, size = MAX_PENDING - 1, MAX_ALL_PENDING - sizes.pop(transaction_id, 0)
        surplus = []
        for other in reversed(sizes):
            room, size = room - 1, size - sizes[other]
            if room < 0 or size < 0:
                surplus.append(other)
        return surplus[::-1]


def _longest(asked: AuthorizationRequest) -> str:
    """Return the name of the parameter other than `state` that takes most of the request."""
    values = {
        "redirect_uri": asked.redirect_uri,
        "scope": " ".join(asked.scopes),
        "nonce": asked.nonce or "",
        "resource": asked.resource,
    }
    return max(values, key=lambda name: len(values[name].encode()))


ACCOUNT = "account"
"""The URL segment of the account pages, where other pages have a transaction id of 22 characters."""


class PageContext(Struct, frozen=True, kw_only=True):
    """What a page is about: the account, or a pending request. `segment` is its part of the URL."""

    segment: str
    home: Home
    pending: AuthorizationRequest | None = None

    @property
    def url(self) -> str:
        return f"{self.home.path}/{self.segment}"

    def at(self, home: Home) -> "PageContext":
        return replace(self, home=home)


class PageContexts:
    """Finds the page context of a request by its URL segment and the browser's cookies."""

    def __init__(self, homes: Homes, pending_requests: PendingRequests) -> None:
        self._homes = homes
        self._pending_requests = pending_requests

    def of_pending(self, pending: AuthorizationRequest) -> PageContext:
        """Return the context of a new request, which belongs to no session yet."""
        return PageContext(segment=pending.transaction_id, home=self._homes.root, pending=pending)

    def of_account(self, request: AnyRequest) -> PageContext:
        return PageContext(segment=ACCOUNT, home=self._homes.of(request))

    def find(self, request: AnyRequest, segment: str) -> PageContext:
        """Return the context that this browser has for the segment. Raises `PendingRequestLost`."""
        if segment == ACCOUNT:
            return self.of_account(request)
        pending = self._pending_requests.find(segment, request)
        if pending is None:
            raise PendingRequestLost
        note_client(request.scope, pending.client_id)
        return PageContext(segment=segment, home=self._homes.of(request), pending=pending)

    def resumable(self, request: AnyRequest) -> str | None:
        """Return the URL where a user can continue after an error, None if there is none."""
        home = self._homes.of(request)
        segment = request.scope["path"].removeprefix(self._homes.root.path).strip("/").partition("/")[0]
        if segment == ACCOUNT or self._pending_requests.find(segment, request) is not None:
            return f"{home.path}/{segment}"
        return None

    def signed_out(self, context: PageContext) -> PageContext:
        """Return the same context at the root and without a session, where its page is the sign-in page."""
        return context.at(self._homes.root)


CSRF_FIELD = "csrf_token"

_CSRF = "form token"


class CsrfTokens:
    """A CSRF token proves that a form comes from our page for this context and session.

    `Homes.guard` has already checked that it comes from this browser.
    """

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
        context.segment,
        session.session_id if session else "",
        session.user_id if session else "",
    )
