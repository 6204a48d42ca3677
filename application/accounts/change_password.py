from grantledger.application.accounts.browser_sessions import BrowserSessionMaker, NewBrowserSession
from grantledger.application.accounts.password_rules import PasswordAttempt, PasswordRules
from grantledger.application.ports import Clock, Ledger, PasswordHasher, PrivateRecord, PrivateRecords
from grantledger.application.provenance import Caller, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.application.throttling import GuessLimit
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import USER, UserUnknown


class PasswordWrong(Refusal):
    """The current password was not entered correctly."""


class ChangePassword:
    """Replace a user's password and end every browser session. The browser of this request gets a new one."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        private: PrivateRecords,
        hasher: PasswordHasher,
        rules: PasswordRules,
        clock: Clock,
        sessions: BrowserSessionMaker,
        guesses: GuessLimit,
    ) -> None:
        self._ledger = ledger
        self._private = private
        self._hasher = hasher
        self._rules = rules
        self._clock = clock
        self._sessions = sessions
        self._guesses = guesses

    async def __call__(
        self, user_id: str, old: str, new: str, caller: Caller, *, longest: int | None = None
    ) -> NewBrowserSession:
        """Return the new session, which ends after `longest` seconds if the setting allows more.

        Raises `PasswordWrong`, `UserUnknown`, `UserIsDisabled`, `TooManyGuesses`, and the refusals of
        `PasswordRules`.
        """
        await self._rules.check(new, await self._private.value(user_id, "email"))
        typed, chosen = PasswordAttempt(self._hasher, old), PasswordAttempt(self._hasher, new)
        with self._guesses.guess(user_id, caller.address):
            return await retry_on_conflict(lambda: self._change(user_id, typed, chosen, caller, longest))

    async def _change(
        self,
        user_id: str,
        old: PasswordAttempt,
        new: PasswordAttempt,
        caller: Caller,
        longest: int | None,
    ) -> NewBrowserSession:
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            raise UserUnknown(user_id)
        user.state.check_usable()
        if not await old.matches(await self._private.value(user_id, "password_hash")):
            raise PasswordWrong(user_id)
        changed = user.state.change_password(now=self._clock.now())
        after = user.evolved(changed).state
        assert after is not None
        session, opened = self._sessions.make(after, longest=longest)
        record = PrivateRecord(subject=user_id, name="password_hash", value=await new.hash())
        await self._ledger.record([user.then(changed), session], by_user(user_id, caller), [record])
        return opened
