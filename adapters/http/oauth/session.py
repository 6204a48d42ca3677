"""GET /session: who an access token speaks for, for resource servers in other processes."""

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.http.answers import json_answer
from grantledger.adapters.http.bearer_refusals import BearerRefusal, bearer_answer
from grantledger.adapters.http.errors import ParametersMalformed
from grantledger.adapters.http.middleware import note_client, note_refusal
from grantledger.adapters.http.oauth.discovery import resource_metadata_url
from grantledger.adapters.http.parameters import parsed
from grantledger.application.policy import ServerPolicy
from grantledger.application.tokens.look_up_session import LookUpSession
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

    def refused(request: Request[Any, Any, Any], told: BearerRefusal, why: Exception) -> Response[bytes]:
        note_refusal(request.scope, why)
        return bearer_answer(told, metadata_url)

    @get(path)
    async def session(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            token = bearer_token(request.scope["headers"])
        except AuthorizationMalformed as error:
            return refused(request, BearerRefusal.HEADER_MALFORMED, error)
        if token is None:
            return bearer_answer(BearerRefusal.TOKEN_MISSING, metadata_url)
        try:
            resources = parsed(request.scope["query_string"]).resources
        except ParametersMalformed as refusal:
            return refused(request, BearerRefusal.QUERY_MALFORMED, refusal)
        if len(resources) > 1:
            return bearer_answer(BearerRefusal.RESOURCE_REPEATED, metadata_url)
        try:
            found = await look_up_session(token, resource=resources[0] if resources else None)
        except Refusal as refusal:
            return refused(request, BearerRefusal.TOKEN_REFUSED, refusal)
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
