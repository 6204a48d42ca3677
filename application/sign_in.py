from msgspec import Struct

from grantledger.application.email_address import EmailInvalid, normalized
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, PasswordHasher, PrivateRecords, Randomness
from grantledger.application.provenance import Caller, by_user
from grantledger.application.secrets import digest
from grantledger.domain.aggregate import Versioned
from grantledger.domain.browser_session import SIGNIN, BrowserSession, SignedIn
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import USER


class SignInRefused(Refusal):
    """The e-mail address and the password do not belong together, or the account is disabled."""


class NewBrowserSession(Struct, frozen=True, kw_only=True):
    """A session with its cookie's value in clear: the only time that it is seen."""

    session: BrowserSession
    cookie: str


class SignIn:
    """Sign a user in with e-mail and password, in a session of its own."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        private: PrivateRecords,
        hasher: PasswordHasher,
        clock: Clock,
        randomness: Randomness,
        policy: ServerPolicy,
    ) -> None:
        self._ledger = ledger
        self._private = private
        self._hasher = hasher
        self._clock = clock
        self._randomness = randomness
        self._lifetime = policy.browser_session_lifetime

    async def __call__(self, email: str, password: str, caller: Caller) -> NewBrowserSession:
        """Return a new session. Raises `SignInRefused`, the same for every reason and after the same time."""
        user_id = await self._user_id(email)
        password_hash = await self._private.value(user_id, "password_hash") if user_id else None
        if not await self._hasher.matches(password, password_hash) or user_id is None:
            raise SignInRefused
        user = (await self._ledger.load(USER, user_id)).state
        if user is None or user.disabled:
            raise SignInRefused
        return await self._signed_in(user_id, caller)

    async def _user_id(self, email: str) -> str | None:
        try:
            return await self._private.find("email", normalized(email))
        except EmailInvalid:
            return None

    async def _signed_in(self, user_id: str, caller: Caller) -> NewBrowserSession:
        session_id, secret = self._randomness.token(size=16), self._randomness.token()
        now = self._clock.now()
        event = SignedIn(
            session_id=session_id,
            user_id=user_id,
            secret_digest=digest(secret),
            signed_in_at=now,
            expires_at=now + self._lifetime,
        )
        session: Versioned[BrowserSession] = Versioned(kind=SIGNIN, key=session_id)
        await self._ledger.record([session.then([event])], by_user(user_id, caller))
        state = session.evolved([event]).state
        assert state is not None
        return NewBrowserSession(session=state, cookie=f"{session_id}.{secret}")
