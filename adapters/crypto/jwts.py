"""Signing of ID tokens (OpenID Connect Core section 2) and JWT access tokens (RFC 9068)."""

import msgspec
from msgspec import Struct

from grantledger.adapters.crypto.jws import LedgerKeys
from grantledger.application.ports import AccessTokenClaims, IdTokenClaims
from grantledger.domain import base64url
from grantledger.domain.signing_keys import ES256


class IdTokens:
    """`IdTokenSigner` with the keys of the ledger. A rotation applies to every server within a second."""

    def __init__(self, keys: LedgerKeys) -> None:
        self._keys = keys

    async def sign(self, claims: IdTokenClaims) -> str:
        return await self._keys.sign(claims, await self._keys.active(ES256), typ="JWT")


_ACCESS_TOKEN = "at+jwt"


class _Header(Struct, frozen=True, kw_only=True):
    alg: str
    kid: str
    typ: str


_header_decoder = msgspec.json.Decoder(_Header)
_claims_decoder = msgspec.json.Decoder(AccessTokenClaims)


class JwtAccessTokens:
    """`AccessTokenSigner` with the keys of the ledger."""

    def __init__(self, keys: LedgerKeys) -> None:
        self._keys = keys

    async def active_key(self, alg: str) -> str:
        return (await self._keys.active(alg)).kid

    async def sign(self, claims: AccessTokenClaims, kid: str) -> str:
        return await self._keys.sign(claims, await self._keys.usable(kid), typ=_ACCESS_TOKEN)

    async def read(self, token: str) -> AccessTokenClaims | None:
        message, _, encoded = token.rpartition(".")
        parts = [base64url.decode(part) for part in (*message.split("."), encoded)]
        if len(parts) != 3 or None in parts:  # noqa: PLR2004 - header, payload and signature
            return None
        raw_header, raw_claims, signature = (part or b"" for part in parts)
        try:
            header = _header_decoder.decode(raw_header)
            claims = _claims_decoder.decode(raw_claims)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        key = await self._keys.published(header.kid)
        # The type is checked too: an ID token that the same key has signed gives no access.
        if key is None or (header.alg, header.typ) != (key.alg, _ACCESS_TOKEN):
            return None
        return claims if self._keys.check(key, signature, message.encode()) else None
