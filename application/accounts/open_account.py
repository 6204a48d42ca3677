from contextlib import suppress

from msgspec import Struct

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


class NewAccount(Struct, frozen=True, kw_only=True):
    """An account to open, with checked values and the hash of the password."""

    email: str
    password_hash: str
    name: str | None


class OpenAccount:
    """Open an account with an e-mail address, a password and perhaps a name, all private records."""

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
        """Return the new user's id. The event names an operator, or the new user if `by_themselves`.

        Raises `EmailInvalid`, `EmailTaken`, `NameInvalid` and the refusals of `PasswordRules`.
        """
        account = await self.prepare(email, password, name=name)
        return await self.open(account, caller, by_themselves=by_themselves)

    async def prepare(self, email: str, password: str, *, name: str) -> NewAccount:
        """Check the values and hash the password.

        Raises `EmailInvalid`, `NameInvalid` and the refusals of `PasswordRules`.
        """
        address, shown_name = typed(email), checked_name(name)
        await self._rules.check(password, address)
        password_hash = await self._hasher.hash(password)
        return NewAccount(email=address, password_hash=password_hash, name=shown_name)

    async def open(self, account: NewAccount, caller: Caller, *, by_themselves: bool) -> str:
        """Return the new user's id. Raises `EmailTaken`."""
        return await retry_on_conflict(lambda: self._open(account, caller, by_themselves=by_themselves))

    async def _open(self, new: NewAccount, caller: Caller, *, by_themselves: bool) -> str:
        key = normalized(new.email)
        if await self._private.find(EMAIL_KEY, key) is not None:
            raise EmailTaken
        user_id = self._randomness.token("glu_", size=16)
        account: Versioned[UserAccount] = Versioned(kind=USER, key=user_id)
        opened = AccountOpened(user_id=user_id, opened_at=self._clock.now())
        private = [
            PrivateRecord(subject=user_id, name="email", value=new.email),
            PrivateRecord(subject=user_id, name=EMAIL_KEY, value=key, lookup=key),
            PrivateRecord(subject=user_id, name="password_hash", value=new.password_hash),
        ]
        if new.name is not None:
            private.append(PrivateRecord(subject=user_id, name="name", value=new.name))
        by = by_user(user_id, caller) if by_themselves else by_operator(caller)
        await self._ledger.record([account.then([opened])], by, private)
        return user_id


class SignUp:
    """Open an account for a user who signs up, without revealing whether the address has one already."""

    def __init__(self, open_account: OpenAccount, limit: RegistrationLimit) -> None:
        self._open_account = open_account
        self._limit = limit

    async def __call__(self, email: str, password: str, caller: Caller, *, name: str = "") -> None:
        """Open an account. If the address has one already, nothing changes and no error is raised.

        Raises `EmailInvalid`, `NameInvalid`, `TooManyRegistrations` and the refusals of `PasswordRules`.
        """
        # Check before the password is hashed, but take tokens only for the append: hashing takes 0.1 s or
        # more, and tokens taken for so long would keep others from signing up.
        self._limit.check(caller.address)
        account = await self._open_account.prepare(email, password, name=name)
        with self._limit.registration(caller.address), suppress(EmailTaken):
            await self._open_account.open(account, caller, by_themselves=True)
