"""ID tokens as signed JWTs: ES256 (RFC 7518 section 3.4) by joserfc."""

from collections.abc import Callable

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from grantledger.application.ports import (
    PRIVATE_KEY,
    IdTokenClaims,
    KeyPair,
    Ledger,
    PrivateRecords,
    Unavailable,
)
from grantledger.domain.signing_keys import ES256, KEYS, SIGNING, NewKey, PublicKey

_REGISTRY = jws.JWSRegistry(algorithms=["ES256"])
_encode = msgspec.json.Encoder().encode


class JwkMaker:
    """Makes keys on P-256 and Ed25519, and RSA keys of 2048 bits. The private key is a JWK (RFC 7517)."""

    def make(self, alg: str = ES256) -> KeyPair:
        key = _GENERATE[alg]()
        public_key = msgspec.convert(key.as_dict(private=False), PublicKey)
        return KeyPair(
            key=NewKey(kid=key.thumbprint(), alg=alg, public_key=public_key),
            private=msgspec.json.encode(key.as_dict(private=True)).decode(),
        )


_GENERATE: dict[str, Callable[[], Key]] = {
    ES256: lambda: ECKey.generate_key("P-256"),
    "RS256": lambda: RSAKey.generate_key(2048),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
}


class LedgerIdTokenSigner:
    """Reads the active key from the ledger for each token: a rotation applies to every server at once."""

    def __init__(self, ledger: Ledger, private: PrivateRecords) -> None:
        self._ledger = ledger
        self._private = private
        self._unsealed: tuple[str, ECKey] | None = None

    async def sign(self, claims: IdTokenClaims) -> str:
        keys = (await self._ledger.load(KEYS, SIGNING)).state
        if keys is None:
            raise Unavailable("there is no signing key yet")
        active = keys.active
        header = {"alg": active.alg, "kid": active.kid, "typ": "JWT"}
        key = await self._private_key(active.kid)
        return jws.serialize_compact(header, _encode(claims), key, registry=_REGISTRY)

    async def _private_key(self, kid: str) -> ECKey:
        """Return the key. It is kept once it was unsealed, since the key of a `kid` never changes."""
        if self._unsealed is None or self._unsealed[0] != kid:
            private = await self._private.value(kid, PRIVATE_KEY)
            if private is None:
                raise Unavailable(f"the private key of signing key {kid} is missing")
            self._unsealed = (kid, ECKey.import_key(msgspec.json.decode(private)))
        return self._unsealed[1]
