"""Browsers that have signed in before, so that wrong passwords of strangers do not lock them out."""

import msgspec
from litestar.datastructures import Cookie

from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.http.pages.homes import sent_cookies
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.ports import Randomness
from grantledger.domain.absolute_uri import parse
from grantledger.domain.email_address import EmailInvalid, normalized

COOKIE = "__Host-grantledger-device"
MOST_ACCOUNTS = 4
"""Maximum number of accounts of one browser. The one with the least recent sign-in is forgotten first."""

_LIFETIME = 180 * 86_400
_CONTEXT = "known device"
_Marks = list[tuple[str, str]]


class KnownDevices:
    """Marks a browser that signed in, by a sealed cookie with a random id for each account.

    The mark proves nothing but an earlier sign-in: it gives the browser its own count of wrong passwords. On
    a loopback host no browser is marked: every port could read the cookie, and strangers cannot reach the
    server.
    """

    def __init__(self, issuer: str, box: SealedBox, randomness: Randomness) -> None:
        self._on_loopback = parse(issuer).is_this_machine
        self._box = box
        self._randomness = randomness

    def find(self, request: AnyRequest, email: str) -> str | None:
        """Return the id of the browser if it has signed in with this e-mail address."""
        return dict(self._marks(request)).get(_key(email))

    def remember(self, request: AnyRequest, email: str) -> list[Cookie]:
        """Return the cookie that marks the browser, or no cookie on loopback."""
        if self._on_loopback:
            return []
        key, marks = _key(email), self._marks(request)
        device = dict(marks).get(key) or self._randomness.token(size=16)
        marks = [(key, device), *(mark for mark in marks if mark[0] != key)][:MOST_ACCOUNTS]
        return [
            Cookie(
                key=COOKIE,
                value=self._box.seal(msgspec.json.encode(marks), _CONTEXT),
                path="/",
                max_age=_LIFETIME,
                secure=True,
                httponly=True,
                samesite="strict",
            )
        ]

    def _marks(self, request: AnyRequest) -> _Marks:
        sealed = None if self._on_loopback else sent_cookies(request).get(COOKIE)
        opened = None if sealed is None else self._box.open(sealed, _CONTEXT)
        return [] if opened is None else msgspec.json.decode(opened, type=_Marks)


def _key(email: str) -> str:
    try:
        return normalized(email)
    except EmailInvalid:
        return ""
