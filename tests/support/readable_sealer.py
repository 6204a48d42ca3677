"""Tokens that a person can read."""

from msgspec import Struct

from grantledger.application.ports import TokenClaims


class ReadableToken(Struct):
    is_refresh_token: bool
    claims: TokenClaims
    nonce: str

    def is_genuine(self, nonce: str) -> bool:
        return nonce == self.nonce


class ReadableSealer:
    """Writes the claims into a token in clear, and the nonce of its grant as the seal.

    A test may set `key_id`, as if there were a newer master secret.
    """

    def __init__(self) -> None:
        self.key_id = "key-1"

    def access_token(self, claims: TokenClaims, nonce: str) -> str:
        return _written("glat", claims, nonce)

    def refresh_token(self, claims: TokenClaims, nonce: str) -> str:
        return _written("glrt", claims, nonce)

    def read(self, token: str) -> ReadableToken | None:
        match token.split("."):
            case [("glat" | "glrt") as prefix, key_id, grant_id, generation, expires_at, pair, nonce]:
                claims = TokenClaims(
                    key_id=key_id,
                    grant_id=grant_id,
                    generation=int(generation),
                    expires_at=int(expires_at),
                    pair=int(pair),
                )
                return ReadableToken(is_refresh_token=prefix == "glrt", claims=claims, nonce=nonce)
            case _:
                return None


def _written(prefix: str, claims: TokenClaims, nonce: str) -> str:
    numbers = (claims.generation, claims.expires_at, claims.pair)
    return ".".join([prefix, claims.key_id, claims.grant_id, *map(str, numbers), nonce])
