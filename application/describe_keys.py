from msgspec import Struct

from grantledger.application.ports import Clock, Ledger
from grantledger.domain.signing_keys import KEYS, SIGNING, SigningKey


class JsonWebKey(Struct, frozen=True, kw_only=True):
    """The public half of a key that signs (RFC 7517 section 4)."""

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
    """Say by which keys an ID token is verified: the active one, the next one, and those just retired."""

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
