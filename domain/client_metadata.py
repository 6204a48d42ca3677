"""Client metadata: what a registration requests, and the effective metadata it gets (RFC 7591)."""

import unicodedata

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain import scope
from grantledger.domain.absolute_uri import UriMalformed, parse
from grantledger.domain.digests import sha256
from grantledger.domain.limits import MAX_METADATA, MAX_REDIRECT_URIS, MAX_SCOPE, MAX_URI, is_longer
from grantledger.domain.redirect_uri import (
    RedirectUriKind,
    RedirectUriPolicy,
    is_loopback,
    kind_of,
    without_variable_port,
)
from grantledger.domain.refusal import Refusal

_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")
_GRANT_TYPES = ("authorization_code", "refresh_token")
_LONGEST_NAME = 200


class RedirectUriInvalid(Refusal):
    """The registration has no redirect URI, too many, or none that is allowed."""


class ClientMetadataInvalid(Refusal):
    """The registration requires something that this server does not support."""


class TooManyRedirectUris(RedirectUriInvalid):
    """The registration has more than 20 redirect URIs."""


class AuthMethodUnsupported(ClientMetadataInvalid):
    """The client authenticates only in ways that this server does not support, such as `private_key_jwt`."""


class GrantTypesWithoutCode(ClientMetadataInvalid):
    """The client lists its grant types, and `authorization_code` is not among them."""


class ResponseTypesWithoutCode(ClientMetadataInvalid):
    """The client lists its response types, and `code` is not among them."""


class MetadataTooLong(ClientMetadataInvalid):
    """The metadata, or its `scope`, are longer than this server stores."""


class RegistrationRequest(Struct, frozen=True, kw_only=True):
    """A registration request: RFC 7591 section 2. A null member counts as omitted.

    Members that are not listed are ignored, as the RFC requires: `contacts` because it is personal data, keys
    because nothing uses them. `token_endpoint_auth_methods_supported` is from a draft; ChatGPT sends it.
    """

    redirect_uris: tuple[str, ...] | None = None
    token_endpoint_auth_method: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    grant_types: tuple[str, ...] | None = None
    response_types: tuple[str, ...] | None = None
    client_name: str | None = None
    client_uri: str | None = None
    logo_uri: str | None = None
    tos_uri: str | None = None
    policy_uri: str | None = None
    scope: str | None = None
    application_type: str | None = None
    software_id: str | None = None
    software_version: str | None = None


class ClientMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The complete effective metadata.

    An optional member without a value is absent, never "" or null: client libraries parse strictly.
    """

    redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: str
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...]
    application_type: str
    scope: str = ""
    client_name: str | None = None
    client_uri: str | None = None
    logo_uri: str | None = None
    tos_uri: str | None = None
    policy_uri: str | None = None
    software_id: str | None = None
    software_version: str | None = None


class RegistrationPolicy(Struct, frozen=True):
    """The settings that apply to registrations."""

    redirect_uris: RedirectUriPolicy
    known_scopes: tuple[str, ...]
    default_scope: tuple[str, ...]


def effective_metadata(request: RegistrationRequest, policy: RegistrationPolicy) -> ClientMetadata:
    """Return the effective metadata of a registration: RFC 7591 section 3.2.1 lets a server replace values.

    Clients show no useful error when a registration is refused, so values are dropped or corrected where
    possible. Raises `RedirectUriForbidden` or `RedirectUriInvalid`, and `ClientMetadataInvalid`.
    """
    if is_longer(request.scope or "", MAX_SCOPE):
        raise MetadataTooLong(f"scope is longer than {MAX_SCOPE} bytes")
    auth_method = _auth_method(request)
    redirect_uris = _redirect_uris(
        request.redirect_uris or (), policy.redirect_uris, is_public=auth_method == "none"
    )
    grant_types = _grant_types(request.grant_types)
    without = () if "refresh_token" in grant_types else (scope.OFFLINE_ACCESS,)
    known = [token for token in policy.known_scopes if token not in without]
    asked = [token for token in scope.split(request.scope) if token in known]
    metadata = ClientMetadata(
        redirect_uris=tuple(redirect_uris),
        token_endpoint_auth_method=auth_method,
        grant_types=grant_types,
        response_types=_response_types(request.response_types),
        application_type=_application_type(request.application_type, redirect_uris),
        scope=scope.join(asked or [token for token in policy.default_scope if token in known]),
        client_name=_name(request.client_name),
        client_uri=_link(request.client_uri),
        logo_uri=_link(request.logo_uri),
        tos_uri=_link(request.tos_uri),
        policy_uri=_link(request.policy_uri),
        software_id=_name(request.software_id),
        software_version=_name(request.software_version),
    )
    if len(msgspec.json.encode(metadata)) > MAX_METADATA:
        raise MetadataTooLong(f"all metadata together are longer than {MAX_METADATA} bytes")
    return metadata


def metadata_digest(metadata: ClientMetadata) -> str:
    """Return a digest of the metadata by which a public client is recognised when it registers again.

    It does not depend on the order of list values, nor on the port of a loopback redirect URI: Claude Code
    and others register a new port each time, and `redirect_uri.matches` accepts any.
    """
    canonical = replace(
        metadata,
        redirect_uris=tuple(sorted({without_variable_port(uri) for uri in metadata.redirect_uris})),
        grant_types=tuple(sorted(metadata.grant_types)),
        response_types=tuple(sorted(metadata.response_types)),
        scope=scope.join(sorted(scope.split(metadata.scope))),
    )
    encoded = msgspec.json.encode(canonical, order="sorted")
    return sha256(encoded)


def _auth_method(request: RegistrationRequest) -> str:
    wanted, offered = request.token_endpoint_auth_method, request.token_endpoint_auth_methods_supported or ()
    if wanted in _AUTH_METHODS:
        return wanted
    # A client that supports several methods (ChatGPT: private_key_jwt, but also none) gets the first that
    # this server supports, in the client's order.
    for method in offered:
        if method in _AUTH_METHODS:
            return method
    if wanted or offered:
        # RFC 7591 section 3.2.1 would allow a substitute. But a client with a method that it did not ask for
        # fails at the token endpoint, after its user has consented. And a client that wanted to authenticate
        # with a key must not become a public client.
        raise AuthMethodUnsupported(str(wanted or offered[0])[:200])
    return "client_secret_basic"  # the default of RFC 7591 section 2


def _redirect_uris(
    uris: tuple[str, ...], policy: RedirectUriPolicy, *, is_public: bool
) -> dict[str, RedirectUriKind]:
    """Return the allowed redirect URIs with their kinds, in order and without duplicates.

    A URI that no rule allows is dropped: many clients, such as Cursor, register several kinds at once.
    """
    if len(uris) > MAX_REDIRECT_URIS:
        raise TooManyRedirectUris(f"{len(uris)} redirect URIs")
    kept = {}
    for uri in uris:
        kind = kind_of(uri, policy)
        # RFC 8252 section 8.5: an app that every user has a copy of cannot keep a secret.
        if kind is None or (kind is RedirectUriKind.PRIVATE_USE and not is_public):
            continue
        kept[uri] = kind
    if not kept:
        raise RedirectUriInvalid("no redirect URI that is allowed")
    return kept


def _grant_types(wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    if not wanted:
        # By default, RFC 7591 section 2 has only authorization_code. But many clients omit grant_types and
        # refresh if they can. Without a refresh token they send the user to the browser every hour.
        return _GRANT_TYPES
    # Clients list every grant type they support: VS Code the device grant, Claude the JWT bearer grant.
    kept = tuple(grant for grant in _GRANT_TYPES if grant in wanted)
    if "authorization_code" not in kept:
        raise GrantTypesWithoutCode("grant_types without authorization_code")
    return kept


def _response_types(wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    if wanted and "code" not in wanted:
        raise ResponseTypesWithoutCode("response_types without code")
    return ("code",)


def _application_type(wanted: str | None, redirect_uris: dict[str, RedirectUriKind]) -> str:
    """Return "native" or "web" (OpenID Connect Registration section 2). Nothing here depends on it.

    The default "web" is wrong for most MCP clients, which omit it or send "web" with loopback URIs.
    """
    is_native = all(
        kind is RedirectUriKind.PRIVATE_USE or is_loopback(uri) for uri, kind in redirect_uris.items()
    )
    if is_native or wanted == "native":
        return "native"
    return "web"


def _name(text: str | None) -> str | None:
    """Return the text without characters that could disguise it on the consent page, or None if it is empty.

    Bidirectional and invisible characters can make one name look like another.
    """
    if text is not None and text.isascii() and text.isprintable():
        return " ".join(text.split())[:_LONGEST_NAME].rstrip() or None
    visible = (
        " " if character.isspace() else character
        for character in text or ""
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs")
    )
    return " ".join("".join(visible).split())[:_LONGEST_NAME].rstrip() or None


def _link(text: str | None) -> str | None:
    """Return a link that is safe to show, or None."""
    try:
        uri = parse(text or "")
    except UriMalformed:
        return None
    if text is None or is_longer(text, MAX_URI) or not uri.is_web or uri.userinfo is not None:
        return None
    return text
