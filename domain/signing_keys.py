"""The keys that sign ID tokens: published before they sign, and until all they signed has expired."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal

SIGNING = "signing"
"""The key of the one stream of all signing keys, so that two keys cannot become active at once."""

MAX_REMEMBERED = 16
"""How many keys the state holds, newest last. The log holds all of them."""


class PublicKey(Struct, frozen=True, kw_only=True):
    """The public half of a key on an elliptic curve, in the members of RFC 7518 section 6.2.1."""

    kty: str
    crv: str
    x: str
    y: str


class NewKey(Struct, frozen=True, kw_only=True):
    """A key that is not recorded yet. `kid` is its thumbprint (RFC 7638)."""

    kid: str
    alg: str
    public_key: PublicKey


class KeyCreated(Struct, frozen=True, kw_only=True, array_like=True, tag="signing_key.created.v1"):
    """A new key was published, so that clients know it before it signs."""

    kid: str
    alg: str
    public_key: PublicKey
    created_at: int


class KeyActivated(Struct, frozen=True, kw_only=True, array_like=True, tag="signing_key.activated.v1"):
    """The key signs from now on."""

    kid: str
    activated_at: int


class KeyRetired(Struct, frozen=True, kw_only=True, array_like=True, tag="signing_key.retired.v1"):
    """The key no longer signs. It stays published until everything that it signed has expired."""

    kid: str
    retired_at: int
    published_until: int


Event = KeyCreated | KeyActivated | KeyRetired


class NextKeyTooNew(Refusal):
    """The next key was published so recently that some clients may not know it yet."""

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
    """All keys, oldest first. At any time one is active and one is next."""

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
        """Return the keys to publish, the active one first: some clients use the first key they find."""
        shown = (key for key in self.keys if key.is_published(now=now))
        return tuple(sorted(shown, key=lambda key: ("active", "next", "retired").index(key.status)))

    def rotate(self, fresh: NewKey, *, lead: int, verified_for: int, now: int) -> tuple[Event, ...]:
        """Let the next key sign, and publish `fresh` as the key after it.

        A key must be published for `lead` seconds before it signs, so that clients know it. The retired key
        stays published for `verified_for` seconds, until everything that it signed has expired.

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
        """Withdraw every key at once and start with two new ones. Nothing signed so far verifies any more."""
        withdrawn = (
            KeyRetired(kid=key.kid, retired_at=now, published_until=now) for key in self.published(now=now)
        )
        return (*withdrawn, *begin(active, following, now=now))


def begin(active: NewKey, following: NewKey, *, now: int) -> tuple[Event, ...]:
    """Return the events of the first two keys: `active` signs, `following` is the next one."""
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
