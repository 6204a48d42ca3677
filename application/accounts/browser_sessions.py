"""Browser sessions: making, finding and ending them."""

from collections.abc import Callable

from msgspec import Struct

from grantledger.application.decide import decide
from grantledger.application.ports import AuthorizationFacts, Clock, DecisionReader, Ledger, Randomness
from grantledger.application.provenance import Caller, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.application.throttling import ActionLimit
from grantledger.domain.aggregate import Change, Versioned
from grantledger.domain.browser_session import SIGNIN, BrowserSession, SignedIn
from grantledger.domain.digests import digest
from grantledger.domain.user_account import USER, UserAccount, UserUnknown


class NewBrowserSession(Struct, frozen=True, kw_only=True):
    """A new session with the value of its cookie, which is stored only as a digest."""

    session: BrowserSession
    cookie: str


class BrowserSessionMaker:
    """Makes browser sessions, which the caller records together with the change that caused them."""

    def __init__(self, clock: Clock, randomness: Randomness, *, lifetime: int, limit: ActionLimit) -> None:
        self._limit = limit
        self._clock = clock
        self._randomness = randomness
        self._lifetime = lifetime

    def make(
        self, user: UserAccount, *, session_id: str | None = None, longest: int | None = None
    ) -> tuple[Change[BrowserSession], NewBrowserSession]:
        """Return a new session of the user: the change to record, and what the browser gets.

        It ends after the configured lifetime, and no later than after `longest` seconds. Raises
        `TooManyActions`.
        """
        with self._limit.counted(user.user_id):
            return self._made(user, session_id or self._randomness.new_id(), longest)

    def _made(
        self, user: UserAccount, session_id: str, longest: int | None
    ) -> tuple[Change[BrowserSession], NewBrowserSession]:
        secret = self._randomness.token()
        lifetime = self._lifetime if longest is None else min(longest, self._lifetime)
        now = self._clock.now()
        event = SignedIn(
            session_id=session_id,
            user_id=user.user_id,
            secret_digest=digest(secret),
            signed_in_at=now,
            expires_at=now + lifetime,
            session_epoch=user.session_epoch,
        )
        empty: Versioned[BrowserSession] = Versioned(kind=SIGNIN, key=session_id)
        session = empty.evolved([event]).state
        assert session is not None
        return empty.then([event]), NewBrowserSession(session=session, cookie=f"{session_id}.{secret}")


class FoundBrowserSession(Struct, frozen=True):
    """A live session. `email` returns the e-mail address of its user, None if there is none."""

    session: BrowserSession
    email: Callable[[], str | None]


class FindBrowserSession:
    """Find who is signed in, from the value of the session cookie.

    No session is found if there is none, if it has ended, or if its user is disabled.
    """

    def __init__(self, facts: DecisionReader, clock: Clock) -> None:
        self._facts = facts
        self._clock = clock

    async def __call__(self, cookie: str | None) -> FoundBrowserSession | None:
        """Return the live session, or None."""
        session_id, secret = _split(cookie)
        facts = await self._facts.browser_session_facts(session_id) if session_id else None
        if facts is None or not self._is_live(facts.session, facts.user, secret):
            return None
        return FoundBrowserSession(facts.session, facts.email)

    async def asking(
        self, cookie: str | None, *, client_id: str, transaction_id: str
    ) -> tuple[BrowserSession, AuthorizationFacts] | None:
        """Return the live session with the facts of an authorization request, in one read; or None."""
        session_id, secret = _split(cookie)
        if not session_id:
            return None
        facts = await self._facts.authorization_facts(
            client_id=client_id, user_id="", session_id=session_id, transaction_id=transaction_id
        )
        session = facts.session.state
        if session is None or not self._is_live(session, facts.user.state, secret):
            return None
        return session, facts

    def _is_live(self, session: BrowserSession, user: UserAccount | None, secret: str) -> bool:
        if user is None or user.disabled:
            return False
        return session.is_live(
            presented_digest=digest(secret), session_epoch=user.session_epoch, now=self._clock.now()
        )


def _split(cookie: str | None) -> tuple[str, str]:
    """Return the id of the session and its secret; two empty texts if either is missing."""
    session_id, _, secret = (cookie or "").partition(".")
    return (session_id, secret) if session_id and secret else ("", "")


class SignOut:
    """End a browser session."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, session: BrowserSession, caller: Caller) -> None:
        await retry_on_conflict(lambda: self._sign_out(session, caller))

    async def _sign_out(self, session: BrowserSession, caller: Caller) -> None:
        loaded = await self._ledger.load(SIGNIN, session.session_id)
        events = loaded.state.sign_out(now=self._clock.now()) if loaded.state else ()
        if events:
            await self._ledger.record([loaded.then(events)], by_user(session.user_id, caller))


class SignOutEverywhere:
    """End every browser session of a user. The user's grants stay."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.end_sessions(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_user(user_id, caller),
        )
