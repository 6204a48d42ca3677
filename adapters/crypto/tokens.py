"""Authorization codes and opaque tokens: derived from the master secret, never stored."""

import hmac
from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import Final

from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.application.ports import TokenClaims
from grantledger.domain import base64url
from grantledger.domain.digests import length_prefixed

CODE_PREFIX: Final = "glac_"
ACCESS_PREFIX: Final = "glat_"
REFRESH_PREFIX: Final = "glrt_"

_PURPOSES = {ACCESS_PREFIX: "access token", REFRESH_PREFIX: "refresh token"}
_FORMAT = 1
# Format, key id, grant id, generation, expiry, pair: 34 bytes, big-endian. With the 20 bytes of the MAC these
# are 54, which base64 writes as exactly 72 characters.
_BODY = Struct(">B4s16sIQB")
_GRANT_ID_BYTES = 16
_MAC_BYTES = 20
_PREFIX_LENGTH = 5
_LENGTH = _PREFIX_LENGTH + 72


_CODE = "authorization code"
_DIGEST_LENGTH = 43
"""Characters of a keyed digest in base64url."""


class DerivedCodes:
    """A code is the id of its transaction and a keyed digest of that id, 256 bits from the master secret."""

    def __init__(self, digests: KeyedDigests) -> None:
        self._digests = digests

    def code_of(self, transaction_id: str) -> str:
        return f"{CODE_PREFIX}{transaction_id}{self._digests.digest(_CODE, transaction_id)}"

    def transaction_of(self, code: str) -> str | None:
        if not code.startswith(CODE_PREFIX):
            return None
        transaction_id, digest = code[len(CODE_PREFIX) : -_DIGEST_LENGTH], code[-_DIGEST_LENGTH:]
        return transaction_id if self._digests.matches(digest, _CODE, transaction_id) else None


class DerivedTokens:
    """A token is its claims and an HMAC-SHA256 of them, truncated to 160 bits (RFC 2104 section 5).

    The MAC covers the realm, the claims and the nonce of the grant, which is in the database but in no token.
    So a token cannot be made from the master secret alone, nor from the database alone. Access and refresh
    tokens have different keys.
    """

    def __init__(self, secrets: MasterSecrets, realm: str) -> None:
        self._secrets = secrets
        self._realm = length_prefixed(realm)

    @property
    def key_id(self) -> str:
        return self._secrets.newest

    def access_token(self, claims: TokenClaims, nonce: str) -> str:
        """Raises `Unavailable` when the claims name a master secret that is not configured here."""
        return self._sealed(ACCESS_PREFIX, claims.key_id, _body(claims), nonce)

    def refresh_token(self, claims: TokenClaims, nonce: str) -> str:
        """Raises `Unavailable` when the claims name a master secret that is not configured here."""
        return self._sealed(REFRESH_PREFIX, claims.key_id, _body(claims), nonce)

    def read(self, token: str) -> "DerivedToken | None":
        prefix = token[:_PREFIX_LENGTH]
        if len(token) != _LENGTH or prefix not in _PURPOSES:
            return None
        raw = base64url.decode(token[_PREFIX_LENGTH:])
        if raw is None:
            return None
        version, key, grant, generation, expires_at, pair = _BODY.unpack_from(raw)
        key_id = key.hex()
        if version != _FORMAT or key_id not in self._secrets:
            return None
        claims = TokenClaims(
            key_id=key_id,
            grant_id=base64url.encode(grant),
            generation=generation,
            expires_at=expires_at,
            pair=pair,
        )
        seal = partial(self._sealed, prefix, key_id, raw[: _BODY.size])
        return DerivedToken(token, claims, is_refresh_token=prefix == REFRESH_PREFIX, seal=seal)

    def _sealed(self, prefix: str, key_id: str, body: bytes, nonce: str) -> str:
        key = self._secrets.key(_PURPOSES[prefix], key_id)
        mac = hmac.digest(key, self._realm + body + nonce.encode(), "sha256")[:_MAC_BYTES]
        return prefix + base64url.encode(body + mac)


class DerivedToken:
    """A token with its claims, which are not trusted before `is_genuine`."""

    __slots__ = ("_seal", "_text", "claims", "is_refresh_token")

    def __init__(
        self, text: str, claims: TokenClaims, *, is_refresh_token: bool, seal: Callable[[str], str]
    ) -> None:
        self.claims = claims
        self.is_refresh_token = is_refresh_token
        self._text = text
        self._seal = seal

    def is_genuine(self, nonce: str) -> bool:
        """Whether the claims, sealed with the nonce, give the same text. Compares in constant time."""
        return hmac.compare_digest(self._seal(nonce), self._text)


def _body(claims: TokenClaims) -> bytes:
    grant = base64url.decode(claims.grant_id)
    if grant is None or len(grant) != _GRANT_ID_BYTES:
        raise ValueError(f"{claims.grant_id!r} is not a grant id, which is 16 bytes in base64url")
    key = bytes.fromhex(claims.key_id)
    return _BODY.pack(_FORMAT, key, grant, claims.generation, claims.expires_at, claims.pair)
