"""Registration tokens, which clients need to register where an operator demands one (RFC 7591 section 3)."""

import hmac
from typing import assert_never

from msgspec import Struct

from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal

REGISTRATION = "registration"
"""The key of the one stream of all registration tokens."""

PREFIX = "glrg_"

MAX_TOKENS = 100
"""Maximum number of registration tokens that are valid at one time."""


class RegistrationTokenAdded(
    Struct, frozen=True, kw_only=True, array_like=True, tag="registration_token.added.v1"
):
    """An operator made a registration token. `name` says what it is for."""

    token_id: str
    name: str
    secret_digest: str
    added_at: int


class RegistrationTokenRevoked(
    Struct, frozen=True, kw_only=True, array_like=True, tag="registration_token.revoked.v1"
):
    """An operator revoked the registration token. The clients that registered with it stay."""

    token_id: str
    revoked_at: int


Event = RegistrationTokenAdded | RegistrationTokenRevoked


class RegistrationTokenRefused(Refusal):
    """The registration needs a registration token, but no valid one was sent."""


class RegistrationTokenUnknown(Refusal):
    """No registration token has that id, or it was revoked."""


class TooManyRegistrationTokens(Refusal):
    """There are 100 valid registration tokens already."""


class RegistrationToken(Struct, frozen=True, kw_only=True):
    """A valid registration token. Its secret is stored only as a digest."""

    token_id: str
    name: str
    secret_digest: str
    added_at: int


class RegistrationTokens(Struct, frozen=True, kw_only=True):
    """All valid registration tokens, oldest first."""

    tokens: tuple[RegistrationToken, ...] = ()

    def check(self, presented_digest: str | None) -> None:
        """Raise `RegistrationTokenRefused` unless the digest is that of a valid token."""
        if presented_digest is None:
            raise RegistrationTokenRefused("there is no registration token in the request")
        if not any(hmac.compare_digest(token.secret_digest, presented_digest) for token in self.tokens):
            raise RegistrationTokenRefused("the registration token is unknown or was revoked")

    def add(self, *, token_id: str, name: str, secret_digest: str, now: int) -> tuple[Event, ...]:
        """Raises `TooManyRegistrationTokens`."""
        if len(self.tokens) >= MAX_TOKENS:
            raise TooManyRegistrationTokens(f"there are {MAX_TOKENS} registration tokens already")
        return (
            RegistrationTokenAdded(token_id=token_id, name=name, secret_digest=secret_digest, added_at=now),
        )

    def revoke(self, token_id: str, *, now: int) -> tuple[Event, ...]:
        """Raises `RegistrationTokenUnknown`."""
        if all(token.token_id != token_id for token in self.tokens):
            raise RegistrationTokenUnknown(f"there is no registration token {token_id!r}")
        return (RegistrationTokenRevoked(token_id=token_id, revoked_at=now),)


def evolve(state: RegistrationTokens | None, event: Event) -> RegistrationTokens:
    tokens = state.tokens if state else ()
    match event:
        case RegistrationTokenAdded():
            added = RegistrationToken(
                token_id=event.token_id,
                name=event.name,
                secret_digest=event.secret_digest,
                added_at=event.added_at,
            )
            return RegistrationTokens(tokens=(*tokens, added))
        case RegistrationTokenRevoked():
            return RegistrationTokens(tokens=tuple(t for t in tokens if t.token_id != event.token_id))
        case _:
            assert_never(event)


REGISTRATION_TOKENS: Kind[RegistrationTokens] = Kind(
    category="regtokens",
    state=RegistrationTokens,
    events=(RegistrationTokenAdded, RegistrationTokenRevoked),
    evolve=evolve,
)
