"""What every guard needs to know, wherever tokens are verified: in this process, or at another server."""

from typing import Literal, Protocol

from msgspec import Struct

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.guards.cors import AllowedOrigin
from grantledger.adapters.guards.discovery_paths import resource_metadata_url
from grantledger.application.tokens.mcp_session import McpSession

IssuerDocument = Literal["oauth-authorization-server", "openid-configuration"]


class Verify(Protocol):
    """How a guard checks a token; `LookUpSession` is one way."""

    async def __call__(self, access_token: str, *, resource: str | None = None) -> McpSession:
        """Return the session, or raise a `Refusal`. Any other exception is an outage."""
        ...


class IssuerMetadata(Protocol):
    """The issuer's discovery documents, for clients that look for them at the MCP server."""

    async def __call__(self, document: IssuerDocument, /) -> bytes | None:
        """Return the JSON, None if the issuer has no such document. Any exception is an outage."""
        ...


class GuardedResource(Struct, frozen=True, kw_only=True):
    """A protected resource, and how its tokens are verified."""

    identifier: str
    issuer: str
    verify: Verify
    issuer_metadata: IssuerMetadata
    scopes: tuple[str, ...] = ()
    name: str = ""
    allowed_origin: AllowedOrigin = "*"
    offered_scopes: frozenset[str] | None = None
    """Every scope that the issuer may grant for this resource, None if not known, as for a remote issuer."""

    @property
    def metadata_url(self) -> str:
        """The URL of the resource's metadata (RFC 9728 section 3.1)."""
        return resource_metadata_url(self.identifier)


class McpAuth(Protocol):
    """What `with_mcp_auth` takes: an `AuthorizationServer`, or an `McpAuthClient` for another one."""

    def guarded_resource(self, resource: str | None = None) -> GuardedResource:
        """Return a protected resource, the default one for None. Raises `ValueError` for an unknown one."""
        ...

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Return `app` with the paths of the authorization server added, if it runs in this process."""
        ...


def resource_of(auth: McpAuth, resource: str | None) -> GuardedResource:
    """Return what guards need to know of a resource. Raises `ValueError` for an unknown one.

    Raises `TypeError` if `auth` is no `McpAuth`, for example an issuer's URL or a `SyncMcpAuthClient`.
    """
    if not hasattr(auth, "in_front_of"):
        raise TypeError(f"auth must be an AuthorizationServer or an McpAuthClient, not {auth!r:.100}")
    return auth.guarded_resource(resource)
