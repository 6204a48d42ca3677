"""Authorization requests: as a client sends them, and as they wait for the user."""

from typing import Any

from msgspec.structs import replace

from grantledger.domain.authorization_request import (
    Askable,
    AuthorizationParameters,
    AuthorizationRequest,
    checked,
)
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.resource_indicator import Resource
from support.clients import HTTPS, a_client
from support.codes import CHALLENGE

MCP = "https://mcp.example/mcp"
NOTES = "https://mcp.example/notes/mcp"

ASKABLE = Askable(
    resources=(
        Resource(MCP, scopes=("notes:read", "notes:write")),
        Resource(NOTES, scopes=("notes:read", "notes:share")),
    ),
    server_scopes=("openid", "profile", "email", "offline_access"),
    default_scope=("openid",),
)
PARAMETERS = AuthorizationParameters(
    client_id="glc_editor",
    redirect_uri=HTTPS,
    response_type="code",
    scope="openid notes:read",
    state="the-state",
    code_challenge=CHALLENGE,
    code_challenge_method="S256",
    resources=(MCP,),
)


def asking(**parameters: Any) -> AuthorizationParameters:
    """Return the query of a correct request, except for `parameters`."""
    return replace(PARAMETERS, **parameters)


def a_request(
    client: ClientRegistration | None = None, *, session_before: str | None = None, **parameters: Any
) -> AuthorizationRequest:
    """Return such a request after it has passed every check."""
    asked = asking(**parameters)
    return checked(
        asked,
        client=client or a_client(),
        target=asked.redirect_uri or HTTPS,
        askable=ASKABLE,
        transaction_id="transaction",
        session_before=session_before,
        now=1_000,
        lifetime=600,
    )
