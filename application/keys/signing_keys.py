"""The keys that sign ID tokens: making, rotating and publishing them."""

from collections.abc import Sequence

from msgspec import Struct

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import PRIVATE_KEY, Clock, KeyPair, Ledger, PrivateRecord, SigningKeyMaker
from grantledger.application.provenance import Caller, by_operator, by_system
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.signing_keys import KEYS, SIGNING, SigningKey, SigningKeys, begin


class JsonWebKey(Struct, frozen=True, kw_only=True):
    """A public signing key (RFC 7517 section 4)."""

    kty: str
    use: str
    alg: str
    kid: str
    crv: str
    x: str
    y: str


class JsonWebKeySet(Struct, frozen=True, kw_only=True):
    """RFC 7517 section 5."""

    keys: tuple[JsonWebKey, ...]


class DescribeKeys:
    """Publish the keys that verify ID tokens: the active one, the next one, and recently retired ones."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self) -> JsonWebKeySet:
        keys = (await self._ledger.load(KEYS, SIGNING)).state
        published = keys.published(now=self._clock.now()) if keys is not None else ()
        return JsonWebKeySet(keys=tuple(map(_json_web_key, published)))


def _json_web_key(key: SigningKey) -> JsonWebKey:
    public = key.public_key
    return JsonWebKey(
        kty=public.kty, use="sig", alg=key.alg, kid=key.kid, crv=public.crv, x=public.x, y=public.y
    )


class MakeSigningKeys:
    """Make the first keys unless there are keys. Of several parallel processes exactly one makes them."""

    def __init__(self, ledger: Ledger, maker: SigningKeyMaker, clock: Clock) -> None:
        self._ledger = ledger
        self._maker = maker
        self._clock = clock

    async def __call__(self, caller: Caller) -> None:
        await retry_on_conflict(lambda: self._make(caller))

    async def _make(self, caller: Caller) -> None:
        keys = await self._ledger.load(KEYS, SIGNING)
        if keys.state is not None:
            return
        active, following = self._maker.make(), self._maker.make()
        events = begin(active.key, following.key, now=self._clock.now())
        await self._ledger.record([keys.then(events)], by_system(caller), private_halves((active, following)))


def private_halves(pairs: Sequence[KeyPair]) -> list[PrivateRecord]:
    """Return the private records that hold the private keys."""
    return [PrivateRecord(subject=pair.key.kid, name=PRIVATE_KEY, value=pair.private) for pair in pairs]


class RotateSigningKey:
    """Make the next key active and publish the one after it. Existing signatures still verify."""

    def __init__(self, ledger: Ledger, maker: SigningKeyMaker, clock: Clock, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._maker = maker
        self._clock = clock
        self._lead = policy.signing_key_lead
        self._verified_for = policy.signing_key_verified_for

    async def __call__(self, caller: Caller, *, compromised: bool = False) -> SigningKeys:
        """Return the keys after the rotation. Makes the first keys if there are none.

        `compromised` withdraws every key at once, including the next one, which was stored with the others.

        Raises `NextKeyTooNew`.
        """
        return await retry_on_conflict(lambda: self._rotate(caller, compromised=compromised))

    async def _rotate(self, caller: Caller, *, compromised: bool) -> SigningKeys:
        keys = await self._ledger.load(KEYS, SIGNING)
        now = self._clock.now()
        fresh, another = made = [self._maker.make(), self._maker.make()]
        if keys.state is None:
            events = begin(fresh.key, another.key, now=now)
        elif compromised:
            events = keys.state.replace_all(fresh.key, another.key, now=now)
        else:
            events = keys.state.rotate(fresh.key, lead=self._lead, verified_for=self._verified_for, now=now)
            made = [fresh]
        await self._ledger.record([keys.then(events)], by_operator(caller), private_halves(made))
        after = keys.evolved(events).state
        assert after is not None
        return after
