"""GET /jwks: the public keys that verify ID tokens and JWT access tokens (RFC 7517 section 5)."""

from litestar import Response

from grantledger.adapters.http.responses import json_answer
from grantledger.application.keys.signing_keys import DescribeKeys
from grantledger.application.policy import JWKS_MAX_AGE

_CACHED = {"cache-control": f"public, max-age={JWKS_MAX_AGE}"}


class JwksEndpoint:
    def __init__(self, describe_keys: DescribeKeys) -> None:
        self._describe_keys = describe_keys

    async def jwks(self) -> Response[bytes]:
        return json_answer(await self._describe_keys(), headers=_CACHED)
