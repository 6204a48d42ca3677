"""GET /session: who an access token speaks for, for resource servers in other processes."""

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from grantledger.adapters.guards.challenge import BearerError, challenge
from grantledger.adapters.http.answers import NO_STORE, error_answer, json_answer
from grantledger.adapters.http.discovery import resource_metadata_url
from grantledger.adapters.http.parameters import parsed
from grantledger.adapters.http.refusals import ParametersMalformed
from grantledger.adapters.http.request_log import note_client, note_refusal
from grantledger.adapters.http.wire_errors import WireError
from grantledger.adapters.web.bearer import AuthorizationMalformed, bearer_token
from grantledger.application.look_up_session import LookUpSession
from grantledger.application.policy import ServerPolicy
from grantledger.domain.refusal import Refusal


class SessionResponse(Struct, frozen=True, kw_only=True):
    """`expires_at` is in seconds since 1970, UTC; `scope` as in a token response. Never a refresh token."""

    user_id: str
    client_id: str
    scope: str
    resource: str
    expires_at: int


def session_endpoint(path: str, look_up_session: LookUpSession, policy: ServerPolicy) -> HTTPRouteHandler:
    """With `?resource=` a token for another resource is refused; cookies are never read."""
    metadata_url = resource_metadata_url(policy.resources[0].identifier)

    def refused(status: int, error: BearerError | None, description: str) -> Response[bytes]:
        challenged = challenge(metadata_url, error=error, error_description=description if error else None)
        told = WireError(error or "invalid_token", description)
        return error_answer(told, status=status, headers={**NO_STORE, "www-authenticate": challenged})

    @get(path)
    async def session(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            token = bearer_token(request.scope["headers"])
        except AuthorizationMalformed:
            return refused(400, "invalid_request", "The Authorization header is not one Bearer token")
        if token is None:
            return refused(401, None, "An access token is needed")
        try:
            resources = parsed(request.scope["query_string"]).resources
        except ParametersMalformed:
            return refused(400, "invalid_request", "The query cannot be read")
        if len(resources) > 1:
            return refused(400, "invalid_request", "An access token is for one resource")
        try:
            found = await look_up_session(token, resource=resources[0] if resources else None)
        except Refusal as refusal:
            note_refusal(request.scope, refusal)
            # Why stays with us: whoever guesses at tokens must learn nothing.
            return refused(
                401, "invalid_token", "The access token is unknown, expired, revoked or for another resource"
            )
        note_client(request.scope, found.client_id)
        return json_answer(
            SessionResponse(
                user_id=found.user_id,
                client_id=found.client_id,
                scope=" ".join(found.scopes),
                resource=found.resource,
                expires_at=found.expires_at,
            )
        )

    return session
