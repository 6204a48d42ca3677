from grantledger.application.accounts.browser_sessions import BrowserSessionMaker, NewBrowserSession
from grantledger.application.ports import (
    Clock,
    Ledger,
    PrivateRecord,
    PrivateRecords,
    Randomness,
)
from grantledger.application.provenance import Caller, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.aggregate import Versioned
from grantledger.domain.browser_session import SIGNIN
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import USER, AccountOpened, UserAccount

HOST_USER = "host_user"
"""The private record that holds the host's id of the user."""


class AdmitHostUser:
    """Give each user of a host application an account here, so that it can be disabled or erased.

    The host's id may be an e-mail address, so it is a private record and in no event.
    """

    def __init__(self, ledger: Ledger, private: PrivateRecords, clock: Clock, randomness: Randomness) -> None:
        self._ledger = ledger
        self._private = private
        self._clock = clock
        self._randomness = randomness

    async def __call__(self, host_user_id: str, caller: Caller) -> UserAccount:
        """Return the account of the host's user. For a new user, open one first."""
        account = (await self.versioned(host_user_id, caller)).state
        assert account is not None  # opened in the same transaction as the record
        return account

    async def versioned(self, host_user_id: str, caller: Caller) -> Versioned[UserAccount]:
        """Return the account of the host's user, as above, with its version."""
        return await retry_on_conflict(lambda: self._admit(host_user_id, caller))

    async def _admit(self, host_user_id: str, caller: Caller) -> Versioned[UserAccount]:
        known = await self._private.find(HOST_USER, host_user_id)
        if known is not None:
            return await self._ledger.load(USER, known)
        user_id = self._randomness.token("glu_", size=16)
        empty: Versioned[UserAccount] = Versioned(kind=USER, key=user_id)
        opened = empty.then([AccountOpened(user_id=user_id, opened_at=self._clock.now())])
        record = PrivateRecord(subject=user_id, name=HOST_USER, value=host_user_id, lookup=host_user_id)
        await self._ledger.record([opened], by_user(user_id, caller), [record])
        return opened.after


class VoucherUsed(Refusal):
    """The voucher of the host for this sign-in has already opened a session."""


class SignInHostUser:
    """Open a browser session for a user whom the host has signed in just now."""

    def __init__(self, ledger: Ledger, admit: AdmitHostUser, sessions: BrowserSessionMaker) -> None:
        self._ledger = ledger
        self._admit = admit
        self._sessions = sessions

    async def __call__(
        self, host_user_id: str, caller: Caller, *, session_id: str, longest: int | None
    ) -> NewBrowserSession:
        """Return the new session, which ends after `longest` seconds if the setting allows more.

        Raises `VoucherUsed` if a session with that id exists already, and `UserIsDisabled`.
        """
        return await retry_on_conflict(lambda: self._sign_in(host_user_id, caller, session_id, longest))

    async def _sign_in(
        self, host_user_id: str, caller: Caller, session_id: str, longest: int | None
    ) -> NewBrowserSession:
        loaded = await self._admit.versioned(host_user_id, caller)
        account = loaded.state
        assert account is not None
        account.check_usable()
        if (await self._ledger.load(SIGNIN, session_id)).version:
            raise VoucherUsed
        change, new = self._sessions.make(account, session_id=session_id, longest=longest)
        await self._ledger.record([change, loaded.unchanged()], by_user(account.user_id, caller))
        return new
