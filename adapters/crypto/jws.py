"""Signing keys, and signatures of JWTs with these keys (RFC 7515): ES256, RS256 and EdDSA.

The same message always gets the same signature (ADR 0067).
"""

from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from grantledger.application.ports import PRIVATE_KEY, Clock, KeyPair, Ledger, PrivateRecords, Unavailable
from grantledger.domain import base64url
from grantledger.domain.signing_keys import ES256, KEYS, SIGNING, NewKey, PublicKey, SigningKey, SigningKeys

# RFC 6979: the nonce is derived from key and message. Usually it is random in ECDSA.
_ECDSA = ec.ECDSA(SHA256(), deterministic_signing=True)
_COORDINATE = 32
"""Bytes of each half of an ES256 signature (RFC 7518 section 3.4)."""
_MAX_UNSEALED = 16
"""How many private keys and public keys are kept in memory."""

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


class LedgerKeys:
    """Signs and verifies with the keys of the ledger, which it reads at most once a second.

    For an unknown key the ledger is read again, because another process may have made the key just now.
    """

    def __init__(self, ledger: Ledger, private: PrivateRecords, clock: Clock) -> None:
        self._ledger = ledger
        self._private = private
        self._clock = clock
        self._keys = SigningKeys()
        self._read_at: int | None = None
        self._private_keys: dict[str, Any] = {}
        self._public_keys: dict[str, Any] = {}

    async def active(self, alg: str) -> SigningKey:
        """Return the key that signs now. Raises `Unavailable` if there is none yet."""
        keys = await self._recent()
        if alg not in keys.algorithms:
            keys = await self._read()
        if alg not in keys.algorithms:
            raise Unavailable(f"there is no signing key for {alg} yet: a start of the server makes it")
        return keys.active_of(alg)

    async def usable(self, kid: str) -> SigningKey:
        """Return the key. If it was withdrawn, return the active key of its algorithm."""
        keys = await self._recent()
        found = _named(keys, kid) or _named(keys := await self._read(), kid)
        if found is None:
            raise Unavailable(f"signing key {kid} is not known")
        return found if found.is_published(now=self._clock.now()) else keys.active_of(found.alg)

    async def published(self, kid: str) -> SigningKey | None:
        """Return the key if tokens that it has signed are accepted now."""
        found = _named(await self._recent(), kid) or _named(await self._read(), kid)
        return found if found is not None and found.is_published(now=self._clock.now()) else None

    async def sign(self, claims: object, key: SigningKey, *, typ: str) -> str:
        """Return the JWT, with a header that names the type, the key and its algorithm."""
        header = {"alg": key.alg, "kid": key.kid, "typ": typ}
        message = f"{base64url.encode(_encode(header))}.{base64url.encode(_encode(claims))}"
        private = await self._private_key(key.kid)
        return f"{message}.{base64url.encode(_SIGN[key.alg](private, message.encode()))}"

    def check(self, key: SigningKey, signature: bytes, message: bytes) -> bool:
        """Whether the key has signed the message."""
        try:
            _VERIFY[key.alg](self._public_key(key), signature, message)
        except InvalidSignature:
            return False
        return True

    async def _recent(self) -> SigningKeys:
        return self._keys if self._read_at == self._clock.now() else await self._read()

    async def _read(self) -> SigningKeys:
        now = self._clock.now()
        self._keys = (await self._ledger.load(KEYS, SIGNING)).state or SigningKeys()
        self._read_at = now
        return self._keys

    async def _private_key(self, kid: str) -> Any:
        """Return the private key. It is cached, since the key of a `kid` never changes."""
        if kid not in self._private_keys:
            sealed = await self._private.value(kid, PRIVATE_KEY)
            if sealed is None:
                raise Unavailable(f"the private key of signing key {kid} is missing")
            _bounded(self._private_keys)
            self._private_keys[kid] = JWKRegistry.import_key(msgspec.json.decode(sealed)).private_key
        return self._private_keys[kid]

    def _public_key(self, key: SigningKey) -> Any:
        if key.kid not in self._public_keys:
            _bounded(self._public_keys)
            jwk = msgspec.to_builtins(key.public_key)
            self._public_keys[key.kid] = JWKRegistry.import_key(jwk).public_key
        return self._public_keys[key.kid]


def _named(keys: SigningKeys, kid: str) -> SigningKey | None:
    return next((key for key in keys.keys if key.kid == kid), None)


def _bounded(kept: dict[str, Any]) -> None:
    """Make room for one more entry, if needed by removing the oldest."""
    if len(kept) >= _MAX_UNSEALED:
        del kept[next(iter(kept))]


def _sign_es256(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, _ECDSA))
    return r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")


def _verify_es256(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> None:
    if len(signature) != 2 * _COORDINATE:
        raise InvalidSignature
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
    key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))


def _sign_rs256(key: rsa.RSAPrivateKey, message: bytes) -> bytes:
    return key.sign(message, padding.PKCS1v15(), SHA256())


def _verify_rs256(key: rsa.RSAPublicKey, signature: bytes, message: bytes) -> None:
    key.verify(signature, message, padding.PKCS1v15(), SHA256())


def _sign_eddsa(key: ed25519.Ed25519PrivateKey, message: bytes) -> bytes:
    return key.sign(message)


def _verify_eddsa(key: ed25519.Ed25519PublicKey, signature: bytes, message: bytes) -> None:
    key.verify(signature, message)


_SIGN: dict[str, Callable[[Any, bytes], bytes]] = {
    "ES256": _sign_es256,
    "RS256": _sign_rs256,
    "EdDSA": _sign_eddsa,
}
_VERIFY: dict[str, Callable[[Any, bytes, bytes], None]] = {
    "ES256": _verify_es256,
    "RS256": _verify_rs256,
    "EdDSA": _verify_eddsa,
}
