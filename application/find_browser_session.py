from grantledger.application.ports import Clock, Ledger
from grantledger.application.secrets import digest
from grantledger.domain.browser_session import SIGNIN, BrowserSession
from grantledger.domain.user_account import USER


class FindBrowserSession:
    """Tell who is signed in, from the value of the session cookie."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, cookie: str | None) -> BrowserSession | None:
        """Return the live session, None when nobody usable is signed in."""
        session_id, dot, secret = (cookie or "").partition(".")
        if not (session_id and dot and secret):
            return None
        session = (await self._ledger.load(SIGNIN, session_id)).state
        if session is None:
            return None
        user = (await self._ledger.load(USER, session.user_id)).state
        if user is None or user.disabled:
            return None
        live = session.is_live(
            presented_digest=digest(secret), session_epoch=user.session_epoch, now=self._clock.now()
        )
        return session if live else None
