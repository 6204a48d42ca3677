from grantledger.application.ports import Clock, Ledger, PrivateRecord
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.user_account import USER, UserUnknown


class ErasePassword:
    """Take a user's password away: nobody signs in by it, and nobody who did so stays signed in.

    What clients were granted stays, and the account too: an operator can set another password.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await settle(lambda: self._erase(user_id, caller))

    async def _erase(self, user_id: str, caller: Caller) -> None:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        events = user.state.erase_password(now=self._clock.now())
        erased = PrivateRecord(subject=user_id, name="password_hash", value=None)
        await self._ledger.record([user.then(events)], by_operator(caller), [erased])
