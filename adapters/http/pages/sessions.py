"""The signed-in user of a request: by our own session cookie, or as the host application says."""

from collections.abc import Callable
from typing import Protocol

import msgspec
from litestar.datastructures import Cookie

from grantledger.adapters.asgi_types import Scope
from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.embedding.host_identity import HostIdentity, HostUser
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.pages.browser import PageContext, PageCookies
from grantledger.adapters.http.pages.homes import SEGMENT_LENGTH, Home, Homes, sent_cookies
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.accounts.admit_host_user import AdmitHostUser
from grantledger.application.accounts.browser_sessions import FindBrowserSession, NewBrowserSession
from grantledger.application.ports import AuthorizationFacts
from grantledger.domain.aggregate import composed_key
from grantledger.domain.browser_session import BrowserSession

_SESSION = "session"
"""The purpose of the cookie that keeps a browser signed in."""

PENDING_LIFETIME = 15 * 60
ACCOUNT_LIFETIME = 3600
"""Seconds that a session lasts on loopback: for one authorization, and for the account pages."""


class SessionCookies:
    """Splits the secret of a session on loopback into a random path segment and a cookie for that path.

    Neither half signs anyone in alone. The server makes both; a browser never chooses them (ADR 0036).
    """

    def __init__(self, cookies: PageCookies, homes: Homes, box: SealedBox) -> None:
        self._cookies = cookies
        self._homes = homes
        self._box = box

    def longest(self, context: PageContext) -> int | None:
        """Return how long a session of these pages lasts at most, or None if only the setting limits it."""
        if not self._homes.on_loopback:
            return None
        return ACCOUNT_LIFETIME if context.pending is None else PENDING_LIFETIME

    def open(self, new: NewBrowserSession, user: HostUser | None = None) -> tuple[Home, Cookie]:
        """Return the home of a new session, and its cookie, which remembers the `user` of a host."""
        lifetime = new.session.expires_at - new.session.signed_in_at
        if not self._homes.on_loopback:
            return self._homes.root, self._cookies.set(
                _SESSION, new.cookie, self._homes.root, max_age=lifetime
            )
        session_id, _, secret = new.cookie.partition(".")
        home = self._homes.below(secret[:SEGMENT_LENGTH])
        value = f"{session_id}.{secret[SEGMENT_LENGTH:]}"
        if user is not None:
            value += f".{self._box.seal(msgspec.json.encode(user), _SESSION + home.segment)}"
        return home, self._cookies.set(_SESSION, value, home, max_age=lifetime)

    def presented(self, request: AnyRequest) -> tuple[str | None, HostUser | None]:
        """Return the argument of `FindBrowserSession`, and the host's user that the cookie remembers."""
        home = self._homes.of(request)
        cookie = sent_cookies(request).get(self._cookies.name(_SESSION, home))
        if not self._homes.on_loopback:
            return cookie, None
        if cookie is None or not home.segment:
            return None, None
        session_id, _, rest = cookie.partition(".")
        secret, _, sealed = rest.partition(".")
        known = self._box.open(sealed, _SESSION + home.segment)
        user = None if known is None else msgspec.json.decode(known, type=HostUser)
        return f"{session_id}.{home.segment}{secret}", user

    def close(self, home: Home) -> Cookie:
        return self._cookies.clear(_SESSION, home)


_USER_NAME = "grantledger.user_name"
"""The key in the scope at which there is a function that returns the user's name."""

_HOST_USER_ID = "grantledger.host_user_id"
"""The key in the scope at which there is the user's id at the host."""


class BrowserSessions(Protocol):
    """Finds who is signed in, once for each request."""

    async def __call__(self, request: AnyRequest) -> BrowserSession | None:
        """Return the session of the signed-in user, None if no user is signed in. Raises `UserIsDisabled`."""
        ...

    async def asking(
        self,
        request: AnyRequest,
        *,
        client_id: str,  # noqa: ARG002 - for those that read it with the session
        transaction_id: str,  # noqa: ARG002 - as above
    ) -> tuple[BrowserSession | None, AuthorizationFacts | None]:
        """Return the session, with the facts of an authorization request if one read finds both.

        Pages that show the name of the user need the session alone.
        """
        return await self(request), None

    def name(self, request: AnyRequest, session: BrowserSession) -> str:
        """Return the name that pages show for the user of the session. Raises `Unavailable`."""
        name: Callable[[], str | None] | None = dict(request.scope).get(_USER_NAME)  # type: ignore[assignment]
        return (name and name()) or session.user_id


def host_user_id(request: AnyRequest) -> str:
    """Return the host's id of the user whose session was found."""
    return str(dict(request.scope)[_HOST_USER_ID])


def _note_user(request: AnyRequest, user: HostUser) -> None:
    scope: Scope = request.scope
    scope[_USER_NAME] = lambda: user.name or user.user_id
    scope[_HOST_USER_ID] = user.user_id


class CookieSessions(BrowserSessions):
    """Sessions that this server keeps: of the built-in identity, and on loopback also of a host's users."""

    def __init__(self, find_session: FindBrowserSession, cookies: SessionCookies) -> None:
        self._find_session = find_session
        self._cookies = cookies

    async def __call__(self, request: AnyRequest) -> BrowserSession | None:
        value, user = self._cookies.presented(request)
        found = await self._find_session(value)
        if found is None:
            return None
        if user is not None:
            _note_user(request, user)
        else:
            scope: Scope = request.scope
            scope[_USER_NAME] = found.email
        return found.session

    async def asking(
        self, request: AnyRequest, *, client_id: str, transaction_id: str
    ) -> tuple[BrowserSession | None, AuthorizationFacts | None]:
        value, user = self._cookies.presented(request)
        found = await self._find_session.asking(value, client_id=client_id, transaction_id=transaction_id)
        if found is not None and user is not None:
            _note_user(request, user)
        return found or (None, None)


class HostSessions(BrowserSessions):
    """Sessions of a host application, which keeps them itself: none is recorded here."""

    def __init__(self, identify: HostIdentity, admit: AdmitHostUser, caller_of: CallerReader) -> None:
        self._identify = identify
        self._admit = admit
        self._caller_of = caller_of

    async def __call__(self, request: AnyRequest) -> BrowserSession | None:
        user = await self._identify(request.scope)
        if user is None:
            return None
        account = await self._admit(user.user_id, self._caller_of(request))
        # Raises instead of returning None: the host's sign-in page would redirect the user back in a loop.
        account.check_usable()
        _note_user(request, user)
        return BrowserSession(
            session_id=composed_key(account.user_id, str(user.signed_in_at)),
            user_id=account.user_id,
            secret_digest="",
            signed_in_at=user.signed_in_at,
            expires_at=user.signed_in_at,
            session_epoch=account.session_epoch,
        )
