import msgspec

from grantledger.application.ports import IdTokenClaims, Unavailable


class ReadableIdTokenSigner:
    """Writes the claims as they are. While `outage` is true nothing can be signed."""

    def __init__(self) -> None:
        self.outage = False
        self.signed: list[IdTokenClaims] = []

    async def sign(self, claims: IdTokenClaims) -> str:
        if self.outage:
            raise Unavailable("the test says so")
        self.signed.append(claims)
        return msgspec.json.encode(claims).decode()
