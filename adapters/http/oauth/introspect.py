"""POST /introspect (RFC 7662)."""

from typing import Any

from litestar import Response

from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.oauth.client_credentials import client_credentials
from grantledger.adapters.http.parameters import header_values, read_form, required
from grantledger.adapters.http.responses import AnyRequest, json_answer
from grantledger.application.tokens.introspect_token import Introspection, IntrospectToken
from grantledger.application.tokens.mcp_session import McpSession

# Section 2.2: "SHOULD NOT include any additional information about an inactive token, including why".
_INACTIVE = {"active": False}


class IntrospectionEndpoint:
    def __init__(self, introspect_token: IntrospectToken, caller_of: CallerReader) -> None:
        self._introspect_token = introspect_token
        self._caller_of = caller_of

    async def introspect(self, request: AnyRequest) -> Response[bytes]:
        form = await read_form(request)
        credentials = client_credentials(header_values(request.scope, b"authorization"), form)
        note_client(request.scope, credentials.client_id)
        introspection = Introspection(
            credentials=credentials, token=required(form, "token"), caller=self._caller_of(request)
        )
        session = await self._introspect_token(introspection)
        return json_answer(_INACTIVE if session is None else _active(session))


def _active(session: McpSession) -> dict[str, Any]:
    """Return the members of section 2.2, and the user's claims that the token's scopes grant."""
    described = {"active": True, **session.claims, "token_type": "Bearer"}
    user = session.user
    if user is not None and user.email is not None:
        described |= {"username": user.email, "email": user.email, "email_verified": user.email_verified}
    if user is not None and user.name is not None:
        described["name"] = user.name
    return described
