"""The signed-in user of a request: by our own session cookie, or as the host application says."""

from typing import Protocol

from litestar.datastructures import Cookie

from grantledger.adapters.embedding.host_identity import HostIdentity
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.pages.browser import PageCookies
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.accounts.admit_host_user import AdmitHostUser
from grantledger.application.accounts.browser_sessions import FindBrowserSession, NewBrowserSession
from grantledger.domain.aggregate import composed_key
from grantledger.domain.browser_session import BrowserSession

SESSION = "session"
"""The purpose of the cookie that keeps a browser signed in."""


def session_cookie(cookies: PageCookies, new: NewBrowserSession) -> Cookie:
    lifetime = new.session.expires_at - new.session.signed_in_at
    return cookies.set(SESSION, new.cookie, max_age=lifetime)


_USER_NAME = "user_name"
"""Where the request keeps what was read together with its session."""


class BrowserSessions(Protocol):
    async def __call__(self, request: AnyRequest) -> BrowserSession | None:
        """Return the session of the signed-in user, None if no user is signed in. Raises `UserIsDisabled`."""
        ...

    async def name(self, request: AnyRequest, session: BrowserSession) -> str:
        """Return the name that pages show for the user of the session."""
        ...


class CookieSessions:
    """`BrowserSessions` of the built-in identity."""

    def __init__(self, find_session: FindBrowserSession, cookies: PageCookies) -> None:
        self._find_session = find_session
        self._cookies = cookies

    async def __call__(self, request: AnyRequest) -> BrowserSession | None:
        found = await self._find_session(request.cookies.get(self._cookies.name(SESSION)))
        if found is None:
            return None
        request.state[_USER_NAME] = found.email or found.session.user_id
        return found.session

    async def name(self, request: AnyRequest, session: BrowserSession) -> str:
        return str(request.state.get(_USER_NAME, session.user_id))


class HostSessions:
    """`BrowserSessions` of a host application, which keeps its own sessions: none is recorded here."""

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
        return BrowserSession(
            session_id=composed_key(account.user_id, str(user.signed_in_at)),
            user_id=account.user_id,
            secret_digest="",
            signed_in_at=user.signed_in_at,
            expires_at=user.signed_in_at,
            session_epoch=account.session_epoch,
        )

    async def name(self, request: AnyRequest, session: BrowserSession) -> str:
        user = await self._identify(request.scope)
        return session.user_id if user is None else user.name or user.user_id
