from contextlib import suppress

from grantledger.application.accounts.password_rules import PasswordRules
from grantledger.application.ports import (
    Clock,
    Ledger,
    PasswordHasher,
    PrivateRecord,
    PrivateRecords,
    Randomness,
)
from grantledger.application.provenance import Caller, by_operator, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.application.throttling import RegistrationLimit
from grantledger.domain.aggregate import Versioned
from grantledger.domain.email_address import normalized, typed
from grantledger.domain.person_name import checked_name
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import USER, AccountOpened, UserAccount

EMAIL_KEY = "email_key"
"""The name of the private record that finds an account: the normal form of the address in `email`."""


class EmailTaken(Refusal):
    """Another account has that e-mail address."""


class OpenAccount:
    """Open an account with e-mail address, password and perhaps a name, which are private records."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        private: PrivateRecords,
        hasher: PasswordHasher,
        rules: PasswordRules,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._ledger = ledger
        self._private = private
        self._hasher = hasher
        self._rules = rules
        self._clock = clock
        self._randomness = randomness

    async def __call__(
        self, email: str, password: str, caller: Caller, *, name: str = "", by_themselves: bool = False
    ) -> str:
        """Return the new user's id. Recorded as an operator's act, or the new user's if `by_themselves`.

        Raises `EmailInvalid`, `EmailTaken`, `NameInvalid` and the refusals of `PasswordRules`.
        """
        address, shown_name = typed(email), checked_name(name)
        await self._rules.check(password, address)
        password_hash = await self._hasher.hash(password)
        return await retry_on_conflict(
            lambda: self._open(address, password_hash, shown_name, caller, by_themselves=by_themselves)
        )

    async def _open(
        self, address: str, password_hash: str, name: str | None, caller: Caller, *, by_themselves: bool
    ) -> str:
        key = normalized(address)
        if await self._private.find(EMAIL_KEY, key) is not None:
            raise EmailTaken
        user_id = self._randomness.token("glu_", size=16)
        account: Versioned[UserAccount] = Versioned(kind=USER, key=user_id)
        opened = AccountOpened(user_id=user_id, opened_at=self._clock.now())
        private = [
            PrivateRecord(subject=user_id, name="email", value=address),
            PrivateRecord(subject=user_id, name=EMAIL_KEY, value=key, lookup=key),
            PrivateRecord(subject=user_id, name="password_hash", value=password_hash),
        ]
        if name is not None:
            private.append(PrivateRecord(subject=user_id, name="name", value=name))
        by = by_user(user_id, caller) if by_themselves else by_operator(caller)
        await self._ledger.record([account.then([opened])], by, private)
        return user_id


class SignUp:
    """Open an account for a user who signs up, without revealing whether the address has one already."""

    def __init__(self, open_account: OpenAccount, limit: RegistrationLimit) -> None:
        self._open_account = open_account
        self._limit = limit

    async def __call__(self, email: str, password: str, caller: Caller, *, name: str = "") -> None:
        """Open an account, unless the address has one already. Then nothing changes, and no error is raised.

        Raises `EmailInvalid`, `NameInvalid`, `TooManyRegistrations` and the refusals of `PasswordRules`.
        """
        with self._limit.registration(caller.address), suppress(EmailTaken):
            await self._open_account(email, password, caller, name=name, by_themselves=True)
