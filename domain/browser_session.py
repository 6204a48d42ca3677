"""A browser session: one user, signed in at one browser."""

import hmac
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind


class SignedIn(Struct, frozen=True, kw_only=True, array_like=True, tag="browser_session.signed_in.v1"):
    """A user signed in at a browser. The cookie holds a secret. The event holds the digest of that secret."""

    session_id: str
    user_id: str
    secret_digest: str
    signed_in_at: int
    expires_at: int
    session_epoch: int = 0


class SignedOut(Struct, frozen=True, kw_only=True, array_like=True, tag="browser_session.signed_out.v1"):
    """The user signed out of this session."""

    signed_out_at: int


Event = SignedIn | SignedOut


class BrowserSession(Struct, frozen=True, kw_only=True, array_like=True):
    """Who is signed in, since when and until when."""

    session_id: str
    user_id: str
    secret_digest: str
    signed_in_at: int
    expires_at: int
    session_epoch: int = 0
    signed_out: bool = False

    def is_live(self, *, presented_digest: str, session_epoch: int, now: int) -> bool:
        """Whether the digest is that of the session's secret and the session has not ended.

        `session_epoch` is the current epoch of the user. Sessions of an earlier epoch have ended.
        """
        known = hmac.compare_digest(self.secret_digest, presented_digest)
        return known and not self.signed_out and self.session_epoch == session_epoch and now < self.expires_at

    def sign_out(self, *, now: int) -> tuple[Event, ...]:
        return () if self.signed_out else (SignedOut(signed_out_at=now),)


def evolve(session: BrowserSession | None, event: Event) -> BrowserSession:
    match event:
        case SignedIn():
            return BrowserSession(
                session_id=event.session_id,
                user_id=event.user_id,
                secret_digest=event.secret_digest,
                signed_in_at=event.signed_in_at,
                expires_at=event.expires_at,
                session_epoch=event.session_epoch,
            )
        case SignedOut():
            assert session is not None
            return replace(session, signed_out=True)
        case _:
            assert_never(event)


SIGNIN: Kind[BrowserSession] = Kind(
    category="signin", state=BrowserSession, events=(SignedIn, SignedOut), evolve=evolve
)
