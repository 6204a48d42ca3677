"""GET /jwks: the keys by which ID tokens are verified (RFC 7517 section 5)."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.http.answers import json_answer
from grantledger.application.keys.signing_keys import DescribeKeys
from grantledger.application.policy import JWKS_MAX_AGE

_BRIEFLY = {"cache-control": f"public, max-age={JWKS_MAX_AGE}"}


def jwks_endpoint(path: str, describe_keys: DescribeKeys) -> HTTPRouteHandler:
    @get(path)
    async def jwks() -> Response[bytes]:
        return json_answer(await describe_keys(), headers=_BRIEFLY)

    return jwks
