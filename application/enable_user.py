from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.user_account import USER, UserUnknown


class EnableUser:
    """Let a disabled user go on, with what is left of grants and browser sessions."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await settle(lambda: self._enable(user_id, caller))

    async def _enable(self, user_id: str, caller: Caller) -> None:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        events = user.state.enable(now=self._clock.now())
        if events:
            await self._ledger.record([user.then(events)], by_operator(caller))
