"""The keys that sign ID tokens and JWT access tokens: making, rotating and publishing them."""

from collections.abc import Collection, Sequence

from msgspec import Struct

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import PRIVATE_KEY, Clock, KeyPair, Ledger, PrivateRecord, SigningKeyMaker
from grantledger.application.provenance import Caller, by_operator, by_system
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.signing_keys import ALGORITHMS, ES256, KEYS, SIGNING, SigningKey, SigningKeys, begin


class JsonWebKey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public signing key (RFC 7517 section 4), with the members of `PublicKey`."""

    kty: str
    use: str
    alg: str
    kid: str
    crv: str = ""
    x: str = ""
    y: str = ""
    n: str = ""
    e: str = ""


class JsonWebKeySet(Struct, frozen=True, kw_only=True):
    """RFC 7517 section 5."""

    keys: tuple[JsonWebKey, ...]


class DescribeKeys:
    """Publish the keys that verify tokens: the active ones, the next ones, and recently retired ones."""

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
        kty=public.kty,
        use="sig",
        alg=key.alg,
        kid=key.kid,
        crv=public.crv,
        x=public.x,
        y=public.y,
        n=public.n,
        e=public.e,
    )


class MakeSigningKeys:
    """Make the first keys of algorithms that have none. Only one of parallel processes makes them."""

    def __init__(self, ledger: Ledger, maker: SigningKeyMaker, clock: Clock) -> None:
        self._ledger = ledger
        self._maker = maker
        self._clock = clock

    async def __call__(self, caller: Caller, algorithms: Collection[str] = (ES256,)) -> None:
        await retry_on_conflict(lambda: self._make(caller, algorithms))

    async def _make(self, caller: Caller, algorithms: Collection[str]) -> None:
        keys = await self._ledger.load(KEYS, SIGNING)
        known = keys.state.algorithms if keys.state is not None else ()
        missing = [alg for alg in ALGORITHMS if alg in algorithms and alg not in known]
        if not missing:
            return
        now = self._clock.now()
        made = [(self._maker.make(alg), self._maker.make(alg)) for alg in missing]
        events = [event for one, other in made for event in begin(one.key, other.key, now=now)]
        halves = private_halves([pair for both in made for pair in both])
        await self._ledger.record([keys.then(events)], by_system(caller), halves)


def private_halves(pairs: Sequence[KeyPair]) -> list[PrivateRecord]:
    """Return the private records that hold the private keys."""
    return [PrivateRecord(subject=pair.key.kid, name=PRIVATE_KEY, value=pair.private) for pair in pairs]


class RotateSigningKey:
    """Make the next key of an algorithm active and publish a new next key. Old signatures still verify."""

    def __init__(self, ledger: Ledger, maker: SigningKeyMaker, clock: Clock, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._maker = maker
        self._clock = clock
        self._lead = policy.signing_key_lead
        self._verified_for = policy.signing_key_verified_for

    async def __call__(self, caller: Caller, *, alg: str = ES256, compromised: bool = False) -> SigningKeys:
        """Return the keys after the rotation. Makes the first keys of `alg` if there are none.

        `compromised` withdraws every key of every algorithm at once, including the next ones, which were
        stored with the others.

        Raises `NextKeyTooNew`.
        """
        return await retry_on_conflict(lambda: self._rotate(caller, alg=alg, compromised=compromised))

    async def _rotate(self, caller: Caller, *, alg: str, compromised: bool) -> SigningKeys:
        keys = await self._ledger.load(KEYS, SIGNING)
        now = self._clock.now()
        if keys.state is not None and compromised:
            pairs = [(self._maker.make(each), self._maker.make(each)) for each in keys.state.algorithms]
            made = [pair for both in pairs for pair in both]
            events = keys.state.replace_all([(one.key, other.key) for one, other in pairs], now=now)
        elif keys.state is not None and alg in keys.state.algorithms:
            fresh = self._maker.make(alg)
            made = [fresh]
            events = keys.state.rotate(fresh.key, lead=self._lead, verified_for=self._verified_for, now=now)
        else:
            fresh, another = made = [self._maker.make(alg), self._maker.make(alg)]
            events = begin(fresh.key, another.key, now=now)
        await self._ledger.record([keys.then(events)], by_operator(caller), private_halves(made))
        after = keys.evolved(events).state
        assert after is not None
        return after
