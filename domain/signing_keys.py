"""The keys that sign: announced before they do, and shown until nothing that they signed is alive."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal

SIGNING = "signing"
"""The key of the one stream that all of them share, so that no two of them can become active at once."""

MAX_REMEMBERED = 16
"""How many keys the state holds, the newest ones; the log holds every one that there ever was."""


class PublicKey(Struct, frozen=True, kw_only=True):
    """The public half of a key on an elliptic curve, in the members of RFC 7518 section 6.2.1."""

    kty: str
    crv: str
    x: str
    y: str


class NewKey(Struct, frozen=True, kw_only=True):
    """A key that nobody knows yet. `kid` is its thumbprint (RFC 7638)."""

    kid: str
    alg: str
    public_key: PublicKey


class KeyCreated(Struct, frozen=True, kw_only=True, tag="signing_key.created.v1"):
    """A new key is announced, so that clients know it before it signs."""

    kid: str
    alg: str
    public_key: PublicKey
    created_at: int


class KeyActivated(Struct, frozen=True, kw_only=True, tag="signing_key.activated.v1"):
    """The key is the one that signs from now on."""

    kid: str
    activated_at: int


class KeyRetired(Struct, frozen=True, kw_only=True, tag="signing_key.retired.v1"):
    """The key signs no more. It stays published until nothing that it signed is alive."""

    kid: str
    retired_at: int
    published_until: int


Event = KeyCreated | KeyActivated | KeyRetired


class NextKeyTooNew(Refusal):
    """The next key was announced so recently that some clients cannot know it yet."""

    def __init__(self, *, ready_at: int) -> None:
        super().__init__(f"the next key may sign from {ready_at} on")
        self.ready_at = ready_at


class SigningKey(Struct, frozen=True, kw_only=True):
    kid: str
    alg: str
    public_key: PublicKey
    created_at: int
    activated_at: int | None = None
    retired_at: int | None = None
    published_until: int | None = None

    @property
    def status(self) -> str:
        """`next`, `active` or `retired`."""
        if self.retired_at is not None:
            return "retired"
        return "next" if self.activated_at is None else "active"

    def is_published(self, *, now: int) -> bool:
        return self.published_until is None or now < self.published_until


class SigningKeys(Struct, frozen=True, kw_only=True):
    """All keys, oldest first: at any time one is active and one is next."""

    keys: tuple[SigningKey, ...] = ()

    @property
    def active(self) -> SigningKey:
        return self._only("active")

    @property
    def next(self) -> SigningKey:
        return self._only("next")

    def _only(self, status: str) -> SigningKey:
        (found,) = (key for key in self.keys if key.status == status)
        return found

    def published(self, *, now: int) -> tuple[SigningKey, ...]:
        """Return what clients may see, the active key first: some know no better than to take the first."""
        shown = (key for key in self.keys if key.is_published(now=now))
        return tuple(sorted(shown, key=lambda key: ("active", "next", "retired").index(key.status)))

    def rotate(self, fresh: NewKey, *, lead: int, verified_for: int, now: int) -> tuple[Event, ...]:
        """Let the next key sign, and announce `fresh` as the one after it.

        A key signs only after `lead` seconds on show, in which clients learn of it; afterwards it stays on
        show for `verified_for` seconds, as long as anything that it signed may be verified.

        Raises `NextKeyTooNew`.
        """
        ready_at = self.next.created_at + lead
        if now < ready_at:
            raise NextKeyTooNew(ready_at=ready_at)
        return (
            KeyRetired(kid=self.active.kid, retired_at=now, published_until=now + verified_for),
            KeyActivated(kid=self.next.kid, activated_at=now),
            _created(fresh, now),
        )

    def replace_all(self, active: NewKey, following: NewKey, *, now: int) -> tuple[Event, ...]:
        """Withdraw every key at once, and go on with new ones: nothing signed so far verifies any more."""
        withdrawn = (
            KeyRetired(kid=key.kid, retired_at=now, published_until=now) for key in self.published(now=now)
        )
        return (*withdrawn, *begin(active, following, now=now))


def begin(active: NewKey, following: NewKey, *, now: int) -> tuple[Event, ...]:
    """Return the beginning: a key that signs, and the one after it."""
    return (
        _created(active, now),
        KeyActivated(kid=active.kid, activated_at=now),
        _created(following, now),
    )


def _created(key: NewKey, now: int) -> KeyCreated:
    return KeyCreated(kid=key.kid, alg=key.alg, public_key=key.public_key, created_at=now)


def evolve(keys: SigningKeys | None, event: Event) -> SigningKeys:
    known = keys.keys if keys is not None else ()
    match event:
        case KeyCreated():
            new = SigningKey(
                kid=event.kid, alg=event.alg, public_key=event.public_key, created_at=event.created_at
            )
            return SigningKeys(keys=(*known, new)[-MAX_REMEMBERED:])
        case KeyActivated():
            return _changed(known, event.kid, activated_at=event.activated_at)
        case KeyRetired():
            return _changed(
                known, event.kid, retired_at=event.retired_at, published_until=event.published_until
            )
        case _:
            assert_never(event)


def _changed(known: tuple[SigningKey, ...], kid: str, **changes: int) -> SigningKeys:
    return SigningKeys(keys=tuple(replace(key, **changes) if key.kid == kid else key for key in known))


KEYS: Kind[SigningKeys] = Kind(
    category="keys", state=SigningKeys, events=(KeyCreated, KeyActivated, KeyRetired), evolve=evolve
)
