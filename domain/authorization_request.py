"""The authorization request and its checks (OAuth 2.1 section 4.1.1)."""

import re

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain import pkce, redirect_uri, resource_indicator, scope
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.consent import Asked, Consent
from grantledger.domain.limits import MAX_NONCE, MAX_STATE, is_longer
from grantledger.domain.refusal import Refusal
from grantledger.domain.resource_indicator import Resource
from grantledger.domain.scope import OFFLINE_ACCESS, OPENID

PROMPTS = frozenset({"none", "login", "consent"})

# Nine digits of seconds are 31 years.
_SECONDS = re.compile(r"[0-9]{1,9}")


class ParameterRepeated(Refusal):
    """A parameter is sent more than once (OAuth 2.1 section 3.1)."""


class ResponseTypeMissing(Refusal):
    """The request has no `response_type`."""


class ResponseTypeUnsupported(Refusal):
    """The only supported `response_type` is `code`."""


class ResponseModeUnsupported(Refusal):
    """The only supported `response_mode` is `query`."""


class RequestObjectUnsupported(Refusal):
    """The request is a JWT (RFC 9101), which is not supported."""


class RequestUriUnsupported(Refusal):
    """The request has a `request_uri` (RFC 9101), which is not supported."""


class PromptContradictory(Refusal):
    """`prompt` combines `none` with another value (OpenID Connect Core section 3.1.2.1)."""


class StateTooLong(Refusal):
    """`state` is too long."""


class NonceTooLong(Refusal):
    """`nonce` is too long."""


class MaxAgeInvalid(Refusal):
    """`max_age` is not a number of seconds."""


class SignInNeeded(Refusal):
    """The user must sign in, but the client asked for an answer without any page (`prompt=none`)."""


class ConsentNeeded(Refusal):
    """The user must consent, but the client asked for an answer without any page (`prompt=none`)."""


class ConsentDenied(Refusal):
    """The user denied consent."""


class TransactionSpent(Refusal):
    """The authorization request has already been answered."""


class AlreadyConnected(TransactionSpent):
    """The client has redeemed the code of the authorization request."""


class TransactionExpired(Refusal):
    """The user took too long to answer the authorization request."""


class SentBack(Refusal):
    """The request is refused with `cause`, which may be sent to the client at its redirect URI.

    If `needs_click` is true, a page shows a link to the redirect URI instead of redirecting, because the user
    has not chosen to go to that address yet. `issuer` is as in `AuthorizationParameters`.
    """

    def __init__(
        self,
        cause: Refusal,
        *,
        redirect_uri: str,
        state: str | None,
        issuer: str | None = None,
        needs_click: bool = False,
    ) -> None:
        super().__init__(str(cause))
        self.needs_click = needs_click
        self.issuer = issuer
        self.cause = cause
        self.redirect_uri = redirect_uri
        self.state = state


class AuthorizationParameters(Struct, frozen=True, kw_only=True):
    """The query of an authorization request. An empty parameter counts as absent (OAuth 2.1 section 3.1).

    `issuer` is not in the query. It is set if the client knows this server by another issuer identifier than
    the server's own.
    """

    client_id: str | None = None
    redirect_uri: str | None = None
    response_type: str | None = None
    response_mode: str | None = None
    scope: str | None = None
    state: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    prompt: str | None = None
    max_age: str | None = None
    nonce: str | None = None
    request: str | None = None
    request_uri: str | None = None
    resources: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    issuer: str | None = None


class Askable(Struct, frozen=True, kw_only=True):
    """What a client can ask for. The first resource is the default one.

    A token is for one resource. It can have the scopes of its resource, and the server's own scopes, which
    are for every resource. It can have `offline_access` only if the client may refresh.
    """

    resources: tuple[Resource, ...]
    server_scopes: tuple[str, ...]
    default_scope: tuple[str, ...]

    def scopes(self, resource: str, *, can_refresh: bool) -> frozenset[str]:
        """Return the scopes that a client can ask for at a configured resource."""
        own = (each.scopes for each in self.resources if each.identifier == resource)
        known = frozenset(self.server_scopes).union(*own)
        return known if can_refresh else known - {OFFLINE_ACCESS}


class AuthorizationRequest(Struct, frozen=True, kw_only=True, array_like=True):
    """A request that has passed every check, until the user has answered it. It yields one code.

    `signed_in_since` is the earliest sign-in that `max_age` allowed when the request arrived.
    """

    transaction_id: str
    client_id: str
    client_registration: int
    redirect_uri: str
    state: str | None
    scopes: tuple[str, ...]
    resource: str
    code_challenge: str
    prompts: tuple[str, ...]
    session_before: str | None
    expires_at: int
    nonce: str | None = None
    signed_in_since: int | None = None
    issuer: str | None = None

    @property
    def allows_no_page(self) -> bool:
        return "none" in self.prompts

    def needs_sign_in(self, session: BrowserSession | None) -> bool:
        """Whether the user must sign in first. `prompt=login` asks for a new sign-in, once."""
        if session is None:
            return True
        too_long_ago = self.signed_in_since is not None and session.signed_in_at < self.signed_in_since
        return too_long_ago or ("login" in self.prompts and session.session_id == self.session_before)

    @property
    def asked(self) -> Asked:
        """What the consent page asks for."""
        return Asked(
            client_registration=self.client_registration,
            redirect_host=redirect_uri.shown_host(self.redirect_uri),
            resource=self.resource,
            scopes=self.scopes,
        )

    def of_scopes(self, scopes: tuple[str, ...]) -> "AuthorizationRequest":
        """Return the same request for these scopes only."""
        if scopes == self.scopes:
            return self
        return replace(self, scopes=scopes, nonce=self.nonce if OPENID in scopes else None)

    def check_open(self, *, now: int) -> None:
        """Raise `TransactionExpired` if the request has expired."""
        if now >= self.expires_at:
            raise TransactionExpired(self.transaction_id)

    def needs_consent_page(self, consent: Consent | None, client: ClientRegistration) -> bool:
        """Whether the consent page must be shown."""
        remembered = consent is not None and consent.covers(self.asked)
        return (
            "consent" in self.prompts
            or not remembered
            or not remembered_consent_counts(client, self.redirect_uri)
        )


def remembered_consent_counts(client: ClientRegistration, target: str) -> bool:
    """Whether a remembered consent may skip the consent page for responses to the redirect URI `target`.

    An https host belongs to its owner. On loopback or a private-use scheme, any program on the user's machine
    may receive the response (RFC 8252 section 8.6). It cannot use the code if the client has a secret, but
    only an operator can know that the secret is not published with every copy of the client.
    """
    if target.startswith("https:") and not redirect_uri.is_loopback(target):
        return True
    return client.approved and not client.is_public


def may_redirect_unasked(client: ClientRegistration, target: str, consent: Consent | None) -> bool:
    """Whether a response may be redirected to `target` although the user has clicked nothing on our pages.

    Anyone can register a client. Without this check a link to this server could redirect to any address (RFC
    9700 section 4.11.2), and that address would learn whether the browser's user is signed in here. `consent`
    is the consent of the signed-in user, or None if there is none.
    """
    if redirect_uri.is_loopback(target) or client.approved or redirect_uri.is_of_well_known_client(target):
        return True
    return (
        consent is not None
        and consent.client_registration == client.registration
        and redirect_uri.shown_host(target) in consent.redirect_hosts
    )


def redirect_target(client: ClientRegistration, asked: AuthorizationParameters) -> str:
    """Return the redirect URI for responses to this request. Nothing may be redirected before this check.

    Raises `ParameterRepeated`, `ClientUnknown`, `ClientIsDisabled`, `redirect_uri.RedirectUriMismatch`
    or `redirect_uri.RedirectUriRequired`: these are shown to the user, never redirected (section 4.1.2.1).
    """
    if twice := asked.repeated & {"client_id", "redirect_uri"}:
        raise ParameterRepeated(", ".join(sorted(twice)))
    client.check_usable()
    return redirect_uri.choose(client.metadata.redirect_uris, asked.redirect_uri)


def checked(
    asked: AuthorizationParameters,
    *,
    client: ClientRegistration,
    target: str,
    askable: Askable,
    transaction_id: str,
    session_before: str | None,
    now: int,
    lifetime: int,
) -> AuthorizationRequest:
    """Return the checked request, or raise the `Refusal` to send to the client at `target`."""
    _check_form(asked)
    challenge = pkce.checked_challenge(asked.code_challenge, asked.code_challenge_method)
    resource = resource_indicator.resolve(
        asked.resources, configured=tuple(each.identifier for each in askable.resources)
    )
    known = askable.scopes(resource, can_refresh="refresh_token" in client.metadata.grant_types)
    scopes = scope.requested(asked.scope, known=known, default=askable.default_scope)
    max_age = _max_age(asked.max_age)
    return AuthorizationRequest(
        transaction_id=transaction_id,
        client_id=client.client_id,
        client_registration=client.registration,
        redirect_uri=target,
        state=asked.state,
        scopes=scopes,
        resource=resource,
        code_challenge=challenge,
        prompts=_prompts(asked.prompt, max_age),
        session_before=session_before,
        expires_at=now + lifetime,
        # Only an ID token needs the nonce.
        nonce=asked.nonce if OPENID in scopes else None,
        signed_in_since=None if max_age is None else now - max_age,
        issuer=asked.issuer,
    )


def _check_form(asked: AuthorizationParameters) -> None:
    if asked.repeated:
        raise ParameterRepeated(", ".join(sorted(asked.repeated)))
    if asked.state is not None and is_longer(asked.state, MAX_STATE):
        raise StateTooLong
    if asked.nonce is not None and is_longer(asked.nonce, MAX_NONCE):
        raise NonceTooLong
    if asked.request is not None:
        raise RequestObjectUnsupported
    if asked.request_uri is not None:
        raise RequestUriUnsupported
    if asked.response_type is None:
        raise ResponseTypeMissing
    if asked.response_type != "code":
        raise ResponseTypeUnsupported
    if asked.response_mode not in (None, "query"):
        raise ResponseModeUnsupported


def _max_age(text: str | None) -> int | None:
    """Return the seconds since the last sign-in that are allowed (OpenID Connect Core section 3.1.2.1)."""
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise MaxAgeInvalid
    return int(text)


def _prompts(prompt: str | None, max_age: int | None) -> tuple[str, ...]:
    prompts = tuple(dict.fromkeys(p for p in (prompt or "").split() if p in PROMPTS))
    if "none" in prompts and len(prompts) > 1:
        raise PromptContradictory
    # "max_age=0 [...] is equivalent to prompt=login": a sign-in in the current second is not enough.
    return (*prompts, "login") if max_age == 0 else prompts
