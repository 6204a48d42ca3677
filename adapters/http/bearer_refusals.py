"""What `/session` and `/userinfo` answer without a good access token (RFC 6750 section 3)."""

from enum import Enum

from litestar import Response
from msgspec import Struct

from grantledger.adapters.guards.challenge import BearerError, challenge
from grantledger.adapters.http.answers import NO_STORE, error_answer
from grantledger.adapters.http.errors import WireError
from grantledger.domain.scope import OPENID


class Told(Struct, frozen=True):
    status: int
    error: BearerError | None
    description: str
    scopes: tuple[str, ...] = ()


class BearerRefusal(Enum):
    """All of them. Why a token is refused stays with us: whoever guesses at tokens must learn nothing."""

    HEADER_MALFORMED = Told(400, "invalid_request", "The Authorization header is not one Bearer token")
    PLACE_MALFORMED = Told(400, "invalid_request", "Send one access token, in one place")
    QUERY_MALFORMED = Told(400, "invalid_request", "The query cannot be read")
    RESOURCE_REPEATED = Told(400, "invalid_request", "An access token is for one resource")
    TOKEN_MISSING = Told(401, None, "An access token is needed")
    TOKEN_REFUSED = Told(
        401, "invalid_token", "The access token is unknown, expired, revoked or for another resource"
    )
    SCOPE_MISSING = Told(
        403, "insufficient_scope", "The access token does not have the scope openid", (OPENID,)
    )


def bearer_answer(refusal: BearerRefusal, resource_metadata_url: str | None = None) -> Response[bytes]:
    """Return the answer with its challenge, which names the metadata of a resource where there is one."""
    told = refusal.value
    challenged = challenge(
        resource_metadata_url,
        scopes=told.scopes,
        error=told.error,
        error_description=told.description if told.error else None,
    )
    headers = {**NO_STORE, "www-authenticate": challenged}
    return error_answer(
        WireError(told.error or "invalid_token", told.description), status=told.status, headers=headers
    )
