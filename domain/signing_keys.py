"""The keys that sign ID tokens and JWT access tokens.

A key is published before it signs, and stays published until everything that it signed has expired. Each
algorithm has keys of its own.
"""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal

SIGNING = "signing"
"""The key of the one stream of all signing keys, so that two keys cannot become active at once."""

ES256 = "ES256"
"""The algorithm of ID tokens, and the usual algorithm of JWT access tokens."""

ALGORITHMS = (ES256, "RS256", "EdDSA")
"""All algorithms, in the order in which their keys are published."""

MAX_REMEMBERED = 16
"""How many keys of each algorithm the state holds, newest last. The log holds all of them."""


class PublicKey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The public half of a key as a JWK (RFC 7518 sections 6.2.1 and 6.3.1, RFC 8037 section 2).

    A key on an elliptic curve has `crv`, `x` and, except for Ed25519, `y`; an RSA key has `n` and `e`.
    """

    kty: str
    crv: str = ""
    x: str = ""
    y: str = ""
    n: str = ""
    e: str = ""


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
    """All keys, oldest first. Each algorithm in use has one active key and one next key at any time."""

    keys: tuple[SigningKey, ...] = ()

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that have keys."""
        return tuple(alg for alg in ALGORITHMS if any(key.alg == alg for key in self.keys))

    @property
    def active(self) -> SigningKey:
        """The key that signs ID tokens."""
        return self.active_of(ES256)

    def active_of(self, alg: str) -> SigningKey:
        return self._only("active", alg)

    def next_of(self, alg: str) -> SigningKey:
        return self._only("next", alg)

    def _only(self, status: str, alg: str) -> SigningKey:
        (found,) = (key for key in self.keys if (key.status, key.alg) == (status, alg))
        return found

    def published(self, *, now: int) -> tuple[SigningKey, ...]:
        """Return the keys to publish. The key of ID tokens is first: some clients use the first one."""
        shown = (key for key in self.keys if key.is_published(now=now))

        def rank(key: SigningKey) -> tuple[int, int]:
            return ALGORITHMS.index(key.alg), ("active", "next", "retired").index(key.status)

        return tuple(sorted(shown, key=rank))

    def rotate(self, fresh: NewKey, *, lead: int, verified_for: int, now: int) -> tuple[Event, ...]:
        """Let the next key of the algorithm sign, and publish `fresh` as the key after it.

        A key must be published for `lead` seconds before it signs, so that clients know it. The retired key
        stays published for `verified_for` seconds, until everything that it signed has expired.

        Raises `NextKeyTooNew`.
        """
        active, following = self.active_of(fresh.alg), self.next_of(fresh.alg)
        ready_at = following.created_at + lead
        if now < ready_at:
            raise NextKeyTooNew(ready_at=ready_at)
        return (
            KeyRetired(kid=active.kid, retired_at=now, published_until=now + verified_for),
            KeyActivated(kid=following.kid, activated_at=now),
            _created(fresh, now),
        )

    def replace_all(self, pairs: Sequence[tuple[NewKey, NewKey]], *, now: int) -> tuple[Event, ...]:
        """Withdraw every key at once and start with new ones. Nothing signed so far verifies any more.

        `pairs` are an active key and a next one for each of `algorithms`.
        """
        withdrawn = (
            KeyRetired(kid=key.kid, retired_at=now, published_until=now) for key in self.published(now=now)
        )
        return (*withdrawn, *(event for pair in pairs for event in begin(*pair, now=now)))


def begin(active: NewKey, following: NewKey, *, now: int) -> tuple[Event, ...]:
    """Return the events of an algorithm's first two keys: `active` signs, `following` is the next one."""
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
            same = [key.kid for key in known if key.alg == new.alg]
            forgotten = frozenset(same[: max(0, len(same) + 1 - MAX_REMEMBERED)])
            return SigningKeys(keys=(*(key for key in known if key.kid not in forgotten), new))
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
