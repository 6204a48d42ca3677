"""Who is signed in, as the pages ask it: by our own cookie, or by what the host application says."""

from typing import Any, Protocol

from litestar import Request

from grantledger.adapters.embedding.host_identity import HostIdentity
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.pages.browser import PageCookies
from grantledger.application.accounts.admit_host_user import AdmitHostUser
from grantledger.application.accounts.browser_sessions import FindBrowserSession
from grantledger.application.ports import PrivateRecords
from grantledger.domain.aggregate import composed_key
from grantledger.domain.browser_session import BrowserSession

SESSION = "session"
"""The purpose of the cookie that keeps a browser signed in."""


class BrowserSessions(Protocol):
    async def __call__(self, request: Request[Any, Any, Any]) -> BrowserSession | None:
        """Return who is signed in, None for nobody. Raises `UserIsDisabled`."""
        ...

    async def name(self, request: Request[Any, Any, Any], session: BrowserSession) -> str:
        """Return what to call the user of the session."""
        ...


class CookieSessions:
    """The built-in identity."""

    def __init__(
        self, find_session: FindBrowserSession, private: PrivateRecords, cookies: PageCookies
    ) -> None:
        self._find_session = find_session
        self._private = private
        self._cookies = cookies

    async def __call__(self, request: Request[Any, Any, Any]) -> BrowserSession | None:
        return await self._find_session(request.cookies.get(self._cookies.name(SESSION)))

    async def name(self, _: Request[Any, Any, Any], session: BrowserSession) -> str:
        return await self._private.value(session.user_id, "email") or session.user_id


class HostSessions:
    """The host application's own identity. Its sessions are its own: none is recorded here."""

    def __init__(self, identify: HostIdentity, admit: AdmitHostUser, caller_of: CallerReader) -> None:
        self._identify = identify
        self._admit = admit
        self._caller_of = caller_of

    async def __call__(self, request: Request[Any, Any, Any]) -> BrowserSession | None:
        user = await self._identify(request.scope)
        if user is None:
            return None
        account = await self._admit(user.user_id, self._caller_of(request))
        # Not "nobody": the host's sign-in page would send such a user straight back, for ever.
        account.check_usable()
        return BrowserSession(
            session_id=composed_key(account.user_id, str(user.signed_in_at)),
            user_id=account.user_id,
            secret_digest="",
            signed_in_at=user.signed_in_at,
            expires_at=user.signed_in_at,
            session_epoch=account.session_epoch,
        )

    async def name(self, request: Request[Any, Any, Any], session: BrowserSession) -> str:
        user = await self._identify(request.scope)
        return session.user_id if user is None else user.name or user.user_id
