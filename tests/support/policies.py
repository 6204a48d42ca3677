"""The policy of the tests: what their operator has configured."""

from typing import Any

from msgspec.structs import replace

from grantledger.application.policy import ServerPolicy
from grantledger.domain.resource_indicator import Resource
from support.requests import MCP, NOTES

POLICY = ServerPolicy(
    issuer="https://auth.example",
    resources=(
        Resource(identifier=MCP, name="Files", scopes=("files:read", "notes:read", "notes:write")),
        Resource(identifier=NOTES, name="Notes", scopes=("notes:read", "notes:write")),
    ),
    server_scopes=("openid", "profile", "email", "offline_access"),
    default_scope=("openid",),
    private_use_redirect_uris=(),
    code_lifetime=600,
    access_token_lifetime=3_600,
    refresh_token_lifetime=604_800,
    grant_lifetime=None,
    refresh_reuse_window=60,
    browser_session_lifetime=86_400,
)


def a_policy(**settings: Any) -> ServerPolicy:
    """Return the usual policy, except for these settings."""
    return replace(POLICY, **settings)
