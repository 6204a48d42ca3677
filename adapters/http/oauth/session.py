"""GET /session: the user and the client of an access token, for resource servers in other processes."""

from typing import Any

from litestar import Response

from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.guards.discovery_paths import resource_metadata_url
from grantledger.adapters.http.errors import BearerRefusal, ParametersMalformed, bearer_response
from grantledger.adapters.http.middleware import note_client, note_refusal
from grantledger.adapters.http.parameters import parsed
from grantledger.adapters.http.responses import AnyRequest, json_answer, litestar_response
from grantledger.application.policy import ServerPolicy
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.refusal import Refusal


class SessionEndpoint:
    """With the parameter `resource`, a token for another resource is refused. Cookies are not read."""

    def __init__(self, look_up_session: LookUpSession, policy: ServerPolicy) -> None:
        self._look_up_session = look_up_session
        metadata_url = resource_metadata_url(policy.resources[0].identifier)
        self._refusals = {refusal: bearer_response(refusal, metadata_url) for refusal in BearerRefusal}

    async def session(self, request: AnyRequest) -> Response[bytes]:
        try:
            token = bearer_token(request.scope["headers"])
        except AuthorizationMalformed as error:
            return self._refused(request, BearerRefusal.HEADER_MALFORMED, error)
        if token is None:
            return self._refused(request, BearerRefusal.TOKEN_MISSING)
        try:
            resources = parsed(request.scope["query_string"]).resources
        except ParametersMalformed as refusal:
            return self._refused(request, BearerRefusal.QUERY_MALFORMED, refusal)
        if len(resources) > 1:
            return self._refused(request, BearerRefusal.RESOURCE_REPEATED)
        try:
            session = await self._look_up_session(token, resource=resources[0] if resources else None)
        except Refusal as refusal:
            return self._refused(request, BearerRefusal.TOKEN_REFUSED, refusal)
        note_client(request.scope, session.client_id)
        return json_answer(session_members(session))

    def _refused(
        self, request: AnyRequest, refusal: BearerRefusal, cause: Exception | None = None
    ) -> Response[bytes]:
        if cause is not None:
            note_refusal(request.scope, cause)
        return litestar_response(self._refusals[refusal])


def session_members(session: McpSession) -> dict[str, Any]:
    """Return the JSON of a session, without the token. `McpAuthClient` reads it.

    `expires_at` is in seconds since 1970, UTC. The JSON has personal data if a scope grants it.
    """
    members: dict[str, Any] = {
        "user_id": session.user_id,
        "client_id": session.client_id,
        "subject_type": session.subject_type,
        "scope": " ".join(session.scopes),
        "resource": session.resource,
        "expires_at": session.expires_at,
        "grant_id": session.grant_id,
        "roles": session.roles,
        "permissions": session.permissions,
    }
    if session.user is not None:
        members["user"] = session.user
    return members
