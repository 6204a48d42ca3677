"""The wire form of every error: the code, the description and the status that a client receives.

Imports no framework, because guards import it too. Callers turn a `PlainResponse` into a Litestar response
(`responses.py`), ASGI messages (`send`) or HTTP/1.1 bytes (`connections.py`). What people see is in
`pages/errors.py`.
"""

from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from grantledger.adapters.asgi_types import Headers, Message, Send
from grantledger.adapters.guards.challenge import BearerErrorCode, challenge
from grantledger.adapters.http.limits import (
    MAX_BODY,
    MAX_CALL_BODY,
    MAX_CALL_NAME,
    MAX_CALLS,
    MAX_HEAD,
)
from grantledger.application import throttling
from grantledger.domain import (
    authorization_code,
    authorization_request,
    client_metadata,
    client_registration,
    offer,
    pkce,
    redirect_uri,
    registration_tokens,
    resource,
    resource_indicator,
    role,
    scope,
    token_grant,
    user_account,
)
from grantledger.domain.limits import MAX_METADATA, MAX_SCOPE
from grantledger.domain.refusal import Refusal


class ParametersMalformed(Refusal):
    """Not a form: wrong media type, not UTF-8, a NUL character, too many parameters or too long a value."""


class ParameterMissing(Refusal):
    """A required parameter is missing."""


class ClientCredentialsMixed(Refusal):
    """Two ways of client authentication at once, or two client ids."""


class GrantTypeUnsupported(Refusal):
    """The grant type is not offered."""


class RegistrationMalformed(Refusal):
    """The body is not JSON, or a member of it has the wrong type."""


class PendingRequestLost(Refusal):
    """The browser has no pending authorization request with that transaction id."""


class FormForeign(Refusal):
    """The form was not made for this browser, session and transaction (CSRF)."""


class AppsStillConnected(Refusal):
    """The user is signed out everywhere, but an outage kept the apps from being disconnected."""


class RequestTooLarge(Refusal):
    """The authorization request is too large to be kept in the browser. `parameter` takes most of it."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter)
        self.parameter = parameter


class WireError(Struct, frozen=True):
    """An error code of OAuth 2.1, RFC 7591, RFC 8707 or OpenID Connect, its description and its status."""

    code: str
    description: str
    status: int = 400


_CODE_DEAD = WireError("invalid_grant", "The authorization code is unknown, expired, used or not yours.")
_REFRESH_DEAD = WireError("invalid_grant", "The refresh token is unknown, expired, revoked or not yours.")
_GRANT_DEAD = WireError("invalid_grant", "The grant is no longer valid.")
_BAD_CLIENT = WireError("invalid_client", "The client is unknown or did not authenticate.", 401)

WIRE_ERRORS: dict[type[Refusal], WireError] = {
    # RFC 6749 has no code for throttling. The TypeScript SDK knows this code, and keeps its tokens.
    throttling.TooManyRequests: WireError(
        "too_many_requests", "Too many attempts. Wait for as many seconds as Retry-After says.", 429
    ),
    ParametersMalformed: WireError("invalid_request", "The parameters cannot be read."),
    ParameterMissing: WireError("invalid_request", "A required parameter is missing."),
    GrantTypeUnsupported: WireError("unsupported_grant_type", "Use authorization_code or refresh_token."),
    RegistrationMalformed: WireError(
        "invalid_client_metadata", "The body is not the JSON of client metadata."
    ),
    ClientCredentialsMixed: WireError(
        "invalid_request", "Use one way of client authentication, not several."
    ),
    authorization_request.ParameterRepeated: WireError("invalid_request", "A parameter is repeated."),
    authorization_request.StateTooLong: WireError("invalid_request", "state is longer than 2048 bytes."),
    authorization_request.NonceTooLong: WireError("invalid_request", "nonce is longer than 512 bytes."),
    authorization_request.MaxAgeInvalid: WireError("invalid_request", "max_age is not a number of seconds."),
    authorization_request.ResponseTypeMissing: WireError("invalid_request", "response_type is missing."),
    authorization_request.ResponseTypeUnsupported: WireError(
        "unsupported_response_type", "Only response_type=code is offered."
    ),
    authorization_request.ResponseModeUnsupported: WireError(
        "invalid_request", "Only response_mode=query is offered."
    ),
    authorization_request.RequestObjectUnsupported: WireError(
        "request_not_supported", "Request objects are not offered."
    ),
    authorization_request.RequestUriUnsupported: WireError(
        "request_uri_not_supported", "request_uri is not offered."
    ),
    authorization_request.PromptContradictory: WireError("invalid_request", "prompt=none stands alone."),
    authorization_request.SignInNeeded: WireError("login_required", "The user must sign in."),
    authorization_request.ConsentNeeded: WireError(
        "consent_required", "The user has not agreed to this yet."
    ),
    authorization_request.ConsentDenied: WireError("access_denied", "The user said no."),
    authorization_request.TransactionSpent: WireError("invalid_request", "The request was answered already."),
    authorization_request.TransactionExpired: WireError("invalid_request", "The request has expired."),
    pkce.CodeChallengeMissing: WireError("invalid_request", "code_challenge is required (PKCE)."),
    pkce.CodeChallengeMethodUnsupported: WireError(
        "invalid_request", "Only code_challenge_method=S256 is offered."
    ),
    pkce.CodeChallengeMalformed: WireError("invalid_request", "code_challenge is not an S256 challenge."),
    pkce.CodeVerifierMissing: WireError("invalid_request", "code_verifier is missing."),
    pkce.CodeVerifierMalformed: WireError("invalid_grant", "code_verifier is not a PKCE verifier."),
    pkce.CodeVerifierMismatch: WireError("invalid_grant", "code_verifier does not match the challenge."),
    scope.ScopeInvalid: WireError("invalid_scope", "None of the requested scopes can be granted."),
    scope.ScopeWidened: WireError("invalid_scope", "A refresh cannot get a scope that was not granted."),
    role.RolesAllowNoScope: WireError(
        "invalid_scope", "Each of the requested scopes needs a role that this user does not have."
    ),
    token_grant.TooManyNarrowings: WireError(
        "invalid_scope", "The grant has tokens for too many combinations of scopes and resource."
    ),
    scope.ScopeTooLong: WireError("invalid_scope", "scope is longer than 1024 bytes."),
    resource_indicator.ResourceForeign: WireError(
        "invalid_target", "The resource is not one of this grant or server."
    ),
    authorization_code.CodeUnknown: _CODE_DEAD,
    authorization_code.CodeExpired: _CODE_DEAD,
    authorization_code.CodeAlreadyRedeemed: _CODE_DEAD,
    authorization_code.CodeBelongsToAnotherClient: _CODE_DEAD,
    authorization_code.ConsentWithdrawnSince: _CODE_DEAD,
    authorization_code.CodeRedirectUriMismatch: WireError(
        "invalid_grant", "redirect_uri is not the one the code was sent to."
    ),
    token_grant.TokenBelongsToAnotherClient: _REFRESH_DEAD,
    token_grant.RefreshTokenUnknown: _REFRESH_DEAD,
    token_grant.RefreshTokenAlreadyUsed: _REFRESH_DEAD,
    token_grant.RetryAsksForSomethingElse: WireError(
        "invalid_grant", "The refresh token was used before, for other scopes or another resource."
    ),
    token_grant.GrantIsRevoked: _REFRESH_DEAD,
    token_grant.GrantHasExpired: _REFRESH_DEAD,
    user_account.UserIsDisabled: _GRANT_DEAD,
    offer.NoLongerOffered: _GRANT_DEAD,
    client_registration.ClientUnknown: _BAD_CLIENT,
    client_registration.ClientAuthenticationFailed: _BAD_CLIENT,
    resource.ResourceAuthenticationFailed: _BAD_CLIENT,
    client_registration.ClientIsDisabled: _GRANT_DEAD,
    registration_tokens.RegistrationTokenRefused: WireError(
        "invalid_token", "Registration needs a registration token: send it as a Bearer token.", 401
    ),
    redirect_uri.RedirectUriForbidden: WireError(
        "invalid_redirect_uri", "A redirect URI is malformed, too long or of a kind that is never allowed."
    ),
    client_metadata.TooManyRedirectUris: WireError(
        "invalid_redirect_uri", "redirect_uris has more than 20 entries."
    ),
    client_metadata.AuthMethodUnsupported: WireError(
        "invalid_client_metadata",
        "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post.",
    ),
    client_metadata.GrantTypesWithoutCode: WireError(
        "invalid_client_metadata", "grant_types must include authorization_code, or be omitted."
    ),
    client_metadata.ResponseTypesWithoutCode: WireError(
        "invalid_client_metadata", "response_types must include code, or be omitted."
    ),
    client_metadata.MetadataTooLong: WireError(
        "invalid_client_metadata",
        f"scope has at most {MAX_SCOPE // 1024} KiB, and all metadata together at most "
        f"{MAX_METADATA // 1024} KiB.",
    ),
    client_metadata.RedirectUriInvalid: WireError(
        "invalid_redirect_uri",
        "No redirect URI is allowed: use https, loopback http, or a private-use scheme with a dot, and a "
        "host in lower case without _.",
    ),
    client_metadata.ClientMetadataInvalid: WireError(
        "invalid_client_metadata", "The client metadata cannot be used."
    ),
}

CLIENT_DISABLED = WireError("access_denied", "An operator has disabled this client.", 403)
"""This is for `/register`, where `invalid_grant` would have no meaning."""

UNAVAILABLE = WireError("temporarily_unavailable", "The server cannot answer now. Try again.", 503)
"""The status is never 401, because a client that cannot be checked now must keep its tokens."""

SERVER_FAULT = WireError("server_error", "Something went wrong here.", 500)

STATUS_ERRORS = {
    error.status: error
    for error in (
        WireError("invalid_request", "The request cannot be read.", 400),
        WireError("not_found", "There is nothing at this address.", 404),
        WireError("method_not_allowed", "This address does not take this method.", 405),
        WireError("invalid_request", f"The body is longer than {MAX_BODY} bytes.", 413),
        SERVER_FAULT,
        UNAVAILABLE,
    )
}
"""For requests that no endpoint answers, by status."""

CONNECTION_ERRORS = {
    error.status: error
    for error in (
        WireError("invalid_request", "This is not an HTTP/1.1 request.", 400),
        WireError("invalid_request", "The request took too long to arrive.", 408),
        WireError(
            "invalid_request", f"The request target and the headers are longer than {MAX_HEAD} bytes.", 431
        ),
        WireError("temporarily_unavailable", "Too many connections. Try again.", 503),
    )
}
"""For connections that are refused before a request is read, by status."""


class BearerError(Struct, frozen=True):
    """An error of RFC 6750 section 3.1. `error` is None for a request that carries no token."""

    status: int
    error: BearerErrorCode | None
    description: str
    scopes: tuple[str, ...] = ()


class BearerRefusal(Enum):
    """Refusals of `/session` and `/userinfo`. They hide the exact reason, which attackers must not learn."""

    HEADER_MALFORMED = BearerError(400, "invalid_request", "The Authorization header is not one Bearer token")
    TOKEN_REPEATED = BearerError(400, "invalid_request", "Send one access token, in one place")
    QUERY_MALFORMED = BearerError(400, "invalid_request", "The query cannot be read")
    RESOURCE_REPEATED = BearerError(400, "invalid_request", "An access token is for one resource")
    TOKEN_MISSING = BearerError(401, None, "An access token is needed")
    TOKEN_REFUSED = BearerError(
        401, "invalid_token", "The access token is unknown, expired, revoked or for another resource"
    )
    SCOPE_MISSING = BearerError(
        403, "insufficient_scope", "The access token does not have the scope openid", (scope.OPENID,)
    )


class GuardError(Struct, frozen=True):
    """How a guard refuses a request: `message` in the JSON-RPC body, the rest in the challenge.

    `{metadata_url}` in a message is replaced by the address of the resource's metadata, and `{scopes}` by the
    scopes that the operation needs.
    """

    status: int
    message: str
    error: BearerErrorCode | None = None
    description: str | None = None
    # The code in the JSON-RPC body. The default is the code of Better Auth's guard.
    code: int = -32000


class GuardRefusal(Enum):
    """Refusals of a guard. A 401 begins with the words of Better Auth's guard, which clients know."""

    TOKEN_MISSING = GuardError(
        401,
        "Unauthorized: Authentication required. Send an access token in the Authorization header. "
        "{metadata_url} says where to get one.",
    )
    TOKEN_INVALID = GuardError(
        401,
        "Unauthorized: Invalid or expired token. The access token is not valid here or no longer valid. "
        "{metadata_url} says where to get a new one.",
        "invalid_token",
        # The words of RFC 6750 section 3.1.
        "The access token is expired or revoked or not one for this server",
    )
    REQUEST_MALFORMED = GuardError(
        400,
        "Send exactly one Authorization header: Bearer, a space, and the access token.",
        "invalid_request",
        BearerRefusal.HEADER_MALFORMED.value.description,
    )
    TOKEN_IN_QUERY = GuardError(
        400,
        "Send the access token in the Authorization header, never in the URL, which is logged. "
        "Get a new token: this one may be known to others.",
        "invalid_request",
        "Access tokens in the URL are not accepted",
    )
    SCOPE_MISSING = GuardError(
        403,
        "Forbidden: The access token needs the scopes {scopes}. {metadata_url} says where to get a new one.",
        "insufficient_scope",
        "The access token does not have all scopes that this operation needs",
    )
    CALL_FORBIDDEN = GuardError(
        403, "Forbidden: This user or client may not do this. Another access token would not help."
    )
    BODY_TOO_LARGE = GuardError(
        413,
        f"The body is longer than {MAX_CALL_BODY} bytes, has more than {MAX_CALLS} calls, or a name of more "
        f"than {MAX_CALL_NAME} characters.",
        code=-32600,
    )
    BODY_ENCODED = GuardError(415, "Send the body uncompressed, and in UTF-8.", code=-32600)
    BODY_MALFORMED = GuardError(
        400,
        "The body is not JSON-RPC in UTF-8, names a member twice, or does not name what it is about.",
        code=-32700,
    )
    HEADERS_DIFFER = GuardError(
        400,
        "Mcp-Method and Mcp-Name must be as in the body.",
        code=-32020,  # HeaderMismatch of MCP 2026-07-28
    )
    ORIGIN_FOREIGN = GuardError(403, "Forbidden: This server does not answer pages of this origin.")
    UNAVAILABLE = GuardError(
        503,
        "Access tokens cannot be checked at the moment. Keep the token and try again in a few seconds.",
        code=-32603,
    )


def wire_error(refusal: Refusal) -> WireError:
    """Return the error of the refusal's class, or of its nearest base class in the table."""
    return next(WIRE_ERRORS[base] for base in type(refusal).__mro__ if base in WIRE_ERRORS)


class PlainResponse(Struct, frozen=True):
    """A complete response that needs no framework. Names of headers are in lower case."""

    status: int
    headers: Headers
    body: bytes = b""

    def adding(self, headers: Headers) -> "PlainResponse":
        return PlainResponse(self.status, [*self.headers, *headers], self.body)

    async def send(self, send: Send, *, with_body: bool = True) -> None:
        """Send the response as ASGI messages."""
        start: Message = {"type": "http.response.start", "status": self.status, "headers": list(self.headers)}
        await send(start)
        await send({"type": "http.response.body", "body": self.body if with_body else b""})


NO_STORE: Headers = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
"""OAuth 2.1 section 3.2.3: "MUST include the HTTP Cache-Control response header field [...] no-store"."""

_encode = msgspec.json.Encoder().encode


def json_response(status: int, content: Any, headers: Headers) -> PlainResponse:
    body = _encode(content)
    length = b"%d" % len(body)
    return PlainResponse(
        status, [(b"content-type", b"application/json"), (b"content-length", length), *headers], body
    )


def error_response(error: WireError, headers: Headers = NO_STORE) -> PlainResponse:
    """Return the JSON error of RFC 6749, RFC 7009 and RFC 7591."""
    content = {"error": error.code, "error_description": error.description}
    return json_response(error.status, content, headers)


def refusal_response(refusal: Refusal, *, sent_authorization: bool) -> PlainResponse:
    """Return 400, 429 with Retry-After, or 401 for `invalid_client`, on which clients register again.

    A registration without its token is 401 too (RFC 7591 section 3), with the challenge of RFC 6750.

    `sent_authorization` says whether the request had an Authorization header (RFC 6749 section 5.2).
    """
    error = wire_error(refusal)
    headers = list(NO_STORE)
    if isinstance(refusal, throttling.TooManyRequests):
        headers.append((b"retry-after", b"%d" % refusal.retry_after))
    # "If the client attempted to authenticate via the Authorization request header field, the authorization
    # server MUST [...] include the WWW-Authenticate response header field".
    if error is _BAD_CLIENT and sent_authorization:
        headers.append((b"www-authenticate", b'Basic realm="token endpoint"'))
    if isinstance(refusal, registration_tokens.RegistrationTokenRefused):
        # RFC 6750 section 3.1: no error code for a request without any authentication information.
        challenge = b'Bearer error="invalid_token"' if sent_authorization else b"Bearer"
        headers.append((b"www-authenticate", challenge))
    return error_response(error, headers)


def unavailable_response() -> PlainResponse:
    return error_response(UNAVAILABLE, [*NO_STORE, (b"retry-after", b"1")])


def status_response(status: int, headers: Headers) -> PlainResponse:
    """Return the response to a request that no endpoint answers. An unknown status gets the text of 400."""
    error = STATUS_ERRORS.get(status, STATUS_ERRORS[400])
    return error_response(replace(error, status=status), [*NO_STORE, *headers])


def bearer_response(refusal: BearerRefusal, resource_metadata_url: str | None = None) -> PlainResponse:
    """Return the response with its challenge, which contains the metadata URL if there is one."""
    bearer = refusal.value
    authenticate = challenge(
        resource_metadata_url,
        scopes=bearer.scopes,
        error=bearer.error,
        error_description=bearer.description if bearer.error else None,
    )
    error = WireError(bearer.error or "invalid_token", bearer.description, bearer.status)
    return error_response(error, [*NO_STORE, (b"www-authenticate", authenticate.encode("ascii"))])
