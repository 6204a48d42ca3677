"""Discovery metadata, generated from the policy that is enforced, so that it advertises nothing else."""

from collections.abc import Collection
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from grantledger.application.policy import ServerPolicy
from grantledger.domain.resource_indicator import Resource
from grantledger.domain.scope import EMAIL, OPENID, PROFILE, ROLES

_ID_TOKEN = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash")
_OF_SCOPES = {PROFILE: ("name",), EMAIL: ("email", "email_verified"), ROLES: ("roles", "permissions")}


class AuthorizationServerMetadata(Struct, frozen=True, kw_only=True):
    """RFC 8414 section 2, RFC 9207 section 3, RFC 9728 section 4.

    `registration_endpoint` is absent where registration is closed, and `service_documentation` without its
    setting.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | UnsetType
    revocation_endpoint: str
    introspection_endpoint: str
    jwks_uri: str
    scopes_supported: tuple[str, ...]
    protected_resources: tuple[str, ...]
    service_documentation: str | UnsetType
    response_types_supported: tuple[str, ...] = ("code",)
    response_modes_supported: tuple[str, ...] = ("query",)
    grant_types_supported: tuple[str, ...] = ("authorization_code", "refresh_token")
    # `none` first: some clients use the first method that they support.
    token_endpoint_auth_methods_supported: tuple[str, ...] = (
        "none",
        "client_secret_post",
        "client_secret_basic",
    )
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = (
        "none",
        "client_secret_post",
        "client_secret_basic",
    )
    # Not `none`: RFC 7662 section 4 requires authentication.
    introspection_endpoint_auth_methods_supported: tuple[str, ...] = (
        "client_secret_post",
        "client_secret_basic",
    )
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    authorization_response_iss_parameter_supported: bool = True


class OpenIdProviderMetadata(AuthorizationServerMetadata, frozen=True, kw_only=True):
    """Adds the members of OpenID Connect Discovery section 3, which are registered for RFC 8414 as well."""

    userinfo_endpoint: str
    claims_supported: tuple[str, ...]
    subject_types_supported: tuple[str, ...] = ("public",)
    id_token_signing_alg_values_supported: tuple[str, ...] = ("ES256",)
    claims_parameter_supported: bool = False
    request_parameter_supported: bool = False
    # If it were omitted, the default would be true.
    request_uri_parameter_supported: bool = False


class ProtectedResourceMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9728 section 2. Empty lists must be omitted (section 3.2)."""

    resource: str
    authorization_servers: tuple[str, ...]
    bearer_methods_supported: tuple[str, ...]
    scopes_supported: tuple[str, ...] = ()
    resource_name: str = ""


class DescribeServer:
    """Describe where the endpoints are and what they accept."""

    def __init__(self, policy: ServerPolicy) -> None:
        self._policy = policy

    def authorization_server(self, resources: Collection[str] = ()) -> AuthorizationServerMetadata:
        """Return the metadata for OAuth, and for OpenID Connect too if the scope `openid` is configured.

        `resources` are the identifiers of all that are offered; by default those of the settings.
        """
        named = resources or [resource.identifier for resource in self._policy.resources]
        base = self._policy.issuer.rstrip("/")
        offered: dict[str, Any] = {
            "issuer": self._policy.issuer,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "registration_endpoint": UNSET
            if self._policy.registration_mode == "closed"
            else f"{base}/register",
            "revocation_endpoint": f"{base}/revoke",
            "introspection_endpoint": f"{base}/introspect",
            "jwks_uri": f"{base}/jwks",
            # Only the default scope: clients that find no scopes at the resource request all of these.
            "scopes_supported": self._policy.default_scope,
            "protected_resources": tuple(named),
            "service_documentation": self._policy.documentation or UNSET,
        }
        if OPENID not in self._policy.known_scopes:
            return AuthorizationServerMetadata(**offered)
        personal = [claim for scope in self._policy.known_scopes for claim in _OF_SCOPES.get(scope, ())]
        return OpenIdProviderMetadata(
            **offered,
            userinfo_endpoint=f"{base}/userinfo",
            claims_supported=(*_ID_TOKEN, *personal),
        )

    def protected_resource(self, resource: Resource) -> ProtectedResourceMetadata:
        return ProtectedResourceMetadata(
            resource=resource.identifier,
            authorization_servers=(self._policy.issuer,),
            bearer_methods_supported=("header",),
            scopes_supported=resource.scopes,
            resource_name=resource.name,
        )
