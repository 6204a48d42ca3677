from grantledger.application.passwords import check_password
from grantledger.application.ports import Clock, Ledger, PasswordHasher, PrivateRecord
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.user_account import USER, UserUnknown


class SetPassword:
    """Give a user another password without knowing the present one: for operators."""

    def __init__(self, ledger: Ledger, hasher: PasswordHasher, clock: Clock) -> None:
        self._ledger = ledger
        self._hasher = hasher
        self._clock = clock

    async def __call__(self, user_id: str, password: str, caller: Caller) -> None:
        """End every browser session of the user too. Raises `UserUnknown` and as `check_password` does."""
        check_password(password)
        password_hash = await self._hasher.hash(password)
        await settle(lambda: self._set(user_id, password_hash, caller))

    async def _set(self, user_id: str, password_hash: str, caller: Caller) -> None:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        events = user.state.change_password(now=self._clock.now())
        record = PrivateRecord(subject=user_id, name="password_hash", value=password_hash)
        await self._ledger.record([user.then(events)], by_operator(caller), [record])
