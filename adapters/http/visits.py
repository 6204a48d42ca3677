"""What brings somebody to the pages: an authorization request that waits, or their own account."""

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie
from msgspec import Struct

from grantledger.adapters.http.cookies import PageCookies
from grantledger.adapters.http.parked_requests import ParkedRequests
from grantledger.adapters.http.refusals import ParkedRequestLost
from grantledger.adapters.http.request_log import note_client
from grantledger.application.ports import Randomness
from grantledger.domain.authorization_request import AuthorizationRequest

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
