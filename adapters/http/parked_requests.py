"""Authorization requests wait in the browser, sealed: nothing is written for strangers."""

import re
import zlib

import msgspec
from litestar.datastructures import Cookie

from grantledger.adapters.crypto.sealed_box import SealedBox
from grantledger.adapters.http.cookies import PageCookies
from grantledger.adapters.http.refusals import RequestTooLarge
from grantledger.application.ports import Clock
from grantledger.domain.authorization_request import AuthorizationRequest

MAX_PARKED = 8
MAX_COOKIE = 3800
"""Browsers keep cookies of up to 4096 bytes with name and attributes."""

MAX_ALL_PARKED = 16 * 1024
"""Of all these cookies: with as much again for all else, a head stays within `limits.MAX_HEAD`."""

_MAX_UNPACKED = 64 * 1024
_PURPOSE = "request-"
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
        kept = self._cookies.set(_PURPOSE + request.transaction_id, sealed, max_age=lifetime)
        return [
            kept,
            *(self.forget(transaction_id) for transaction_id in self._superfluous(carried, len(sealed))),
        ]

    def find(self, transaction_id: str, carried: dict[str, str]) -> AuthorizationRequest | None:
        """Return the parked request, None when it is not there, not ours or has expired."""
        sealed = self._cookies.purposes(carried).get(_PURPOSE + transaction_id)
        if sealed is None or not _TRANSACTION_ID.fullmatch(transaction_id):
            return None
        return self._opened(transaction_id, sealed)

    def forget(self, transaction_id: str) -> Cookie:
        return self._cookies.clear(_PURPOSE + transaction_id)

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
            purpose.removeprefix(_PURPOSE): sealed
            for purpose, sealed in self._cookies.purposes(carried).items()
            if purpose.startswith(_PURPOSE)
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
