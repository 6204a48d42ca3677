"""Each refusal and the error that a client receives for it."""

from msgspec import Struct

from grantledger.application import throttling as too_many_requests
from grantledger.domain import (
    authorization_code,
    authorization_request,
    client_metadata,
    client_registration,
    pkce,
    redirect_uri,
    resource_indicator,
    scope,
    token_grant,
    user_account,
)
from grantledger.domain.refusal import Refusal


class ParametersMalformed(Refusal):
    """Not a form: wrong media type, not UTF-8, too many parameters or too long a value."""


class ParameterMissing(Refusal):
    """A required parameter is not there."""


class ClientCredentialsMixed(Refusal):
    """Two ways of client authentication at once, or two client ids."""


class GrantTypeUnsupported(Refusal):
    """The grant type is not one of ours."""


class RegistrationMalformed(Refusal):
    """The body is not JSON, or a member of it has the wrong type."""


class ParkedRequestLost(Refusal):
    """No authorization request waits in this browser under that transaction id."""


class FormForeign(Refusal):
    """The form was not made for this browser, session and transaction (CSRF)."""


class RequestTooLarge(Refusal):
    """The authorization request is too large to be kept in the browser."""


class WireError(Struct, frozen=True):
    """An error code of OAuth 2.1, RFC 7591, RFC 8707 or OpenID Connect, and what is said beside it."""

    code: str
    description: str


_CODE_DEAD = WireError("invalid_grant", "The authorization code is unknown, expired, used or not yours.")
_REFRESH_DEAD = WireError("invalid_grant", "The refresh token is unknown, expired, revoked or not yours.")
_GRANT_DEAD = WireError("invalid_grant", "The grant is no longer valid.")
_BAD_CLIENT = WireError("invalid_client", "The client is unknown or did not authenticate.")

WIRE_ERRORS: dict[type[Refusal], WireError] = {
    # RFC 6749 has no code for it; this is the one that the TypeScript SDK knows, and drops nothing for.
    too_many_requests.TooManyRequests: WireError(
        "too_many_requests", "Too many attempts. Wait for as many seconds as Retry-After says."
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
    authorization_request.SignInNeeded: WireError("login_required", "Nobody is signed in recently enough."),
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
    scope.ScopeInvalid: WireError("invalid_scope", "No scope is left that may be granted."),
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
    client_registration.ClientUnknown: _BAD_CLIENT,
    client_registration.ClientAuthenticationFailed: _BAD_CLIENT,
    client_registration.ClientIsDisabled: _GRANT_DEAD,
    redirect_uri.RedirectUriForbidden: WireError(
        "invalid_redirect_uri", "A redirect URI is malformed, too long or of a kind that is never allowed."
    ),
    client_metadata.RedirectUriInvalid: WireError(
        "invalid_redirect_uri",
        "No redirect URI is left: use https, loopback http, or a private-use scheme with a dot.",
    ),
    client_metadata.ClientMetadataInvalid: WireError(
        "invalid_client_metadata", "The client metadata cannot be used."
    ),
}


def wire_error(refusal: Refusal) -> WireError:
    """Return what to tell a client; a refusal without a line of its own is told as its base class is."""
    return next(WIRE_ERRORS[base] for base in type(refusal).__mro__ if base in WIRE_ERRORS)
