from grantledger.application.accounts.browser_sessions import BrowserSessionMaker, NewBrowserSession
from grantledger.application.ports import (
    Clock,
    Conflict,
    Ledger,
    PrivateRecord,
    PrivateRecords,
    Randomness,
)
from grantledger.application.provenance import Caller, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.aggregate import Versioned
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
        return await retry_on_conflict(lambda: self._admit(host_user_id, caller))

    async def _admit(self, host_user_id: str, caller: Caller) -> UserAccount:
        known = await self._private.find(HOST_USER, host_user_id)
        if known is not None:
            account = (await self._ledger.load(USER, known)).state
            assert account is not None  # opened in the same transaction as the record
            return account
        user_id = self._randomness.token("glu_", size=16)
        empty: Versioned[UserAccount] = Versioned(kind=USER, key=user_id)
        opened = AccountOpened(user_id=user_id, opened_at=self._clock.now())
        record = PrivateRecord(subject=user_id, name=HOST_USER, value=host_user_id, lookup=host_user_id)
        await self._ledger.record([empty.then([opened])], by_user(user_id, caller), [record])
        state = empty.evolved([opened]).state
        assert state is not None
        return state


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
        account = await self._admit(host_user_id, caller)
        account.check_usable()
        change, new = self._sessions.make(account, session_id=session_id, longest=longest)
        try:
            await self._ledger.record([change], by_user(account.user_id, caller))
        except Conflict:
            raise VoucherUsed from None
        return new
