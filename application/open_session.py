from msgspec import Struct

from grantledger.application.ports import Clock, Randomness
from grantledger.application.secrets import digest
from grantledger.domain.aggregate import Change, Versioned
from grantledger.domain.browser_session import SIGNIN, BrowserSession, SignedIn
from grantledger.domain.user_account import UserAccount


class NewBrowserSession(Struct, frozen=True, kw_only=True):
    """A session with its cookie's value in clear: the only time that it is seen."""

    session: BrowserSession
    cookie: str


class OpenSession:
    """Draw up a new browser session of a user, to be recorded with what earned it."""

    def __init__(self, clock: Clock, randomness: Randomness, *, lifetime: int) -> None:
        self._clock = clock
        self._randomness = randomness
        self._lifetime = lifetime

    def __call__(self, user: UserAccount) -> tuple[Change[BrowserSession], NewBrowserSession]:
        session_id, secret = self._randomness.token(size=16), self._randomness.token()
        now = self._clock.now()
        event = SignedIn(
            session_id=session_id,
            user_id=user.user_id,
            secret_digest=digest(secret),
            signed_in_at=now,
            expires_at=now + self._lifetime,
            session_epoch=user.session_epoch,
        )
        empty: Versioned[BrowserSession] = Versioned(kind=SIGNIN, key=session_id)
        session = empty.evolved([event]).state
        assert session is not None
        return empty.then([event]), NewBrowserSession(session=session, cookie=f"{session_id}.{secret}")
