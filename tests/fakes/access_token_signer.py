import msgspec

from grantledger.application.ports import AccessTokenClaims, Unavailable


class ReadableAccessTokenSigner:
    """Writes the claims and the key into the token as they are.

    A test may set `active`, the key that signs. While `outage` is true nothing can be signed.
    """

    def __init__(self) -> None:
        self.active = "kid-1"
        self.outage = False

    async def active_key(self, alg: str) -> str:
        if self.outage:
            raise Unavailable("the test says so")
        return f"{alg} {self.active}"

    async def sign(self, claims: AccessTokenClaims, kid: str) -> str:
        if self.outage:
            raise Unavailable("the test says so")
        return f"eyJ|{kid}|{msgspec.json.encode(claims).decode()}"

    async def read(self, token: str) -> AccessTokenClaims | None:
        try:
            return msgspec.json.decode(token.split("|", 2)[2], type=AccessTokenClaims)
        except (IndexError, msgspec.MsgspecError):
            return None
