"""What an operator decides about an account."""

from grantledger.application.decide import decide
from grantledger.application.ports import Clock, Ledger, PasswordHasher, PrivateRecord
from grantledger.application.provenance import Caller, by_operator
from grantledger.domain.password import check_password
from grantledger.domain.user_account import USER, UserUnknown


class DisableUser:
    """Refuse a user with every browser session and grant until an operator enables the account again."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.disable(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
        )


class EnableUser:
    """Accept a disabled user again, with the grants and browser sessions that have not expired."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.enable(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
        )


class SetPassword:
    """Give a user a new password without knowing the current one."""

    def __init__(self, ledger: Ledger, hasher: PasswordHasher, clock: Clock) -> None:
        self._ledger = ledger
        self._hasher = hasher
        self._clock = clock

    async def __call__(self, user_id: str, password: str, caller: Caller) -> None:
        """End every browser session of the user too.

        Raises `UserUnknown` and the refusals of `check_password`.
        """
        check_password(password)
        password_hash = await self._hasher.hash(password)
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.change_password(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
            private=[PrivateRecord(subject=user_id, name="password_hash", value=password_hash)],
        )


class ErasePassword:
    """Erase a user's password and end every browser session: sign-in needs a new password from an operator.

    The account and the user's grants stay.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.erase_password(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
            private=[PrivateRecord(subject=user_id, name="password_hash", value=None)],
        )
