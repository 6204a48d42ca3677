from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_user
from grantledger.application.races import settle
from grantledger.domain.user_account import USER, UserUnknown


class SignOutEverywhere:
    """End every browser session of a user. What apps were granted stays."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await settle(lambda: self._end_sessions(user_id, caller))

    async def _end_sessions(self, user_id: str, caller: Caller) -> None:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        events = user.state.end_sessions(now=self._clock.now())
        await self._ledger.record([user.then(events)], by_user(user_id, caller))
