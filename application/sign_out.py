from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_user
from grantledger.application.races import settle
from grantledger.domain.browser_session import SIGNIN, BrowserSession


class SignOut:
    """End a browser session."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, session: BrowserSession, caller: Caller) -> None:
        await settle(lambda: self._sign_out(session, caller))

    async def _sign_out(self, session: BrowserSession, caller: Caller) -> None:
        loaded = await self._ledger.load(SIGNIN, session.session_id)
        events = loaded.state.sign_out(now=self._clock.now()) if loaded.state else ()
        if events:
            await self._ledger.record([loaded.then(events)], by_user(session.user_id, caller))
