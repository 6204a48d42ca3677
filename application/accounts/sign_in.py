from grantledger.application.accounts.browser_sessions import BrowserSessionMaker, NewBrowserSession
from grantledger.application.ports import Ledger, PasswordHasher, PrivateRecords
from grantledger.application.provenance import Caller, by_user
from grantledger.application.throttling import GuessLimit
from grantledger.domain.email_address import EmailInvalid, normalized
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import USER, UserAccount


class SignInRefused(Refusal):
    """The e-mail address and the password do not belong together, or the account is disabled."""


class SignIn:
    """Sign a user in with e-mail and password, in a session of its own."""

    def __init__(
        self,
        ledger: Ledger,
        private: PrivateRecords,
        hasher: PasswordHasher,
        sessions: BrowserSessionMaker,
        guesses: GuessLimit,
    ) -> None:
        self._ledger = ledger
        self._private = private
        self._hasher = hasher
        self._sessions = sessions
        self._guesses = guesses

    async def __call__(self, email: str, password: str, caller: Caller) -> NewBrowserSession:
        """Return a new session.

        Raises `SignInRefused`, the same for every reason and after the same time, and `TooManyGuesses`,
        whoever the address belongs to.
        """
        address = _address(email)
        with self._guesses.guess(address or "", caller.address):
            return await self._signed_in(address, password, caller)

    async def _signed_in(self, address: str | None, password: str, caller: Caller) -> NewBrowserSession:
        # The account before its password: a password that is changed meanwhile ends this session as well.
        user = await self._user(address)
        password_hash = await self._private.value(user.user_id, "password_hash") if user else None
        if not await self._hasher.matches(password, password_hash) or user is None or user.disabled:
            raise SignInRefused
        change, new = self._sessions.make(user)
        await self._ledger.record([change], by_user(user.user_id, caller))
        return new

    async def _user(self, address: str | None) -> UserAccount | None:
        user_id = None if address is None else await self._private.find("email", address)
        return None if user_id is None else (await self._ledger.load(USER, user_id)).state


def _address(email: str) -> str | None:
    try:
        return normalized(email)
    except EmailInvalid:
        return None
