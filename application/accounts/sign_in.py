from grantledger.application.accounts.browser_sessions import BrowserSessionMaker, NewBrowserSession
from grantledger.application.accounts.failed_sign_ins import FailedSignIns
from grantledger.application.accounts.open_account import EMAIL_KEY
from grantledger.application.accounts.password_rules import PasswordAttempt
from grantledger.application.ports import Ledger, PasswordHasher, PrivateRecord, PrivateRecords
from grantledger.application.provenance import Caller, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.application.throttling import GuessLimit
from grantledger.domain.aggregate import Versioned
from grantledger.domain.email_address import EmailInvalid, normalized
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import USER, UserAccount


class SignInRefused(Refusal):
    """E-mail address or password is wrong, or the account is disabled."""


class SignIn:
    """Sign a user in with e-mail address and password."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        private: PrivateRecords,
        hasher: PasswordHasher,
        sessions: BrowserSessionMaker,
        guesses: GuessLimit,
        failed: FailedSignIns,
    ) -> None:
        self._ledger = ledger
        self._private = private
        self._hasher = hasher
        self._sessions = sessions
        self._guesses = guesses
        self._failed = failed

    async def __call__(
        self,
        email: str,
        password: str,
        caller: Caller,
        *,
        device: str | None = None,
        longest: int | None = None,
    ) -> NewBrowserSession:
        """Return a new session, which ends after `longest` seconds if the setting allows more.

        `device` is a browser from which this account has signed in before.

        Raises `SignInRefused`, with the same message and timing for every reason, and `TooManyGuesses`, for
        addresses with and without an account.
        """
        address = _address(email)
        typed = PasswordAttempt(self._hasher, password)
        with self._guesses.guess(address or "", caller.address, device):
            return await retry_on_conflict(lambda: self._signed_in(address, typed, caller, longest))

    async def _signed_in(
        self, address: str | None, password: PasswordAttempt, caller: Caller, longest: int | None
    ) -> NewBrowserSession:
        # Load the account before its password: the append asserts that it is still that of the account.
        loaded = await self._load(address)
        user = loaded.state
        password_hash = await self._private.value(user.user_id, "password_hash") if user else None
        matches = await password.matches(password_hash)
        if not matches or user is None or user.disabled:
            if user is not None:
                self._failed.count(user.user_id)
            raise SignInRefused
        change, new = self._sessions.make(user, longest=longest)
        private = []
        if password_hash is not None and self._hasher.is_outdated(password_hash):
            record = PrivateRecord(subject=user.user_id, name="password_hash", value=await password.hash())
            private.append(record)
        # The account is asserted: if it was disabled or got another password meanwhile, all is checked again.
        await self._ledger.record([change, loaded.unchanged()], by_user(user.user_id, caller), private)
        return new

    async def _load(self, address: str | None) -> Versioned[UserAccount]:
        user_id = None if address is None else await self._private.find(EMAIL_KEY, address)
        return Versioned(kind=USER, key="") if user_id is None else await self._ledger.load(USER, user_id)


def _address(email: str) -> str | None:
    try:
        return normalized(email)
    except EmailInvalid:
        return None
