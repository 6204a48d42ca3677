"""What an operator decides about an account."""

from grantledger.application.ports import Clock, Ledger, PasswordHasher, PrivateRecord
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.password import check_password
from grantledger.domain.user_account import USER, UserUnknown


class DisableUser:
    """Refuse a user, with every browser session and every grant."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await retry_on_conflict(lambda: self._disable(user_id, caller))

    async def _disable(self, user_id: str, caller: Caller) -> None:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        events = user.state.disable(now=self._clock.now())
        if events:
            await self._ledger.record([user.then(events)], by_operator(caller))


class EnableUser:
    """Let a disabled user go on, with what is left of grants and browser sessions."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await retry_on_conflict(lambda: self._enable(user_id, caller))

    async def _enable(self, user_id: str, caller: Caller) -> None:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        events = user.state.enable(now=self._clock.now())
        if events:
            await self._ledger.record([user.then(events)], by_operator(caller))


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
        await retry_on_conflict(lambda: self._set(user_id, password_hash, caller))

    async def _set(self, user_id: str, password_hash: str, caller: Caller) -> None:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        events = user.state.change_password(now=self._clock.now())
        record = PrivateRecord(subject=user_id, name="password_hash", value=password_hash)
        await self._ledger.record([user.then(events)], by_operator(caller), [record])


class ErasePassword:
    """Take a user's password away: nobody signs in by it, and nobody who did so stays signed in.

    What clients were granted stays, and the account too: an operator can set another password.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await retry_on_conflict(lambda: self._erase(user_id, caller))

    async def _erase(self, user_id: str, caller: Caller) -> None:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        events = user.state.erase_password(now=self._clock.now())
        erased = PrivateRecord(subject=user_id, name="password_hash", value=None)
        await self._ledger.record([user.then(events)], by_operator(caller), [erased])
