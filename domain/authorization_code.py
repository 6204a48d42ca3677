"""An authorization code: shown once to the browser, good for one grant (OAuth 2.1 section 4.1)."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain import pkce, redirect_uri, resource_indicator
from grantledger.domain.aggregate import Kind
from grantledger.domain.consent import Asked
from grantledger.domain.refusal import Refusal


class CodeIssued(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="authorization_code.issued.v1"):
    """A user allowed a client, and the browser was sent on with a code.

    `auth_time` and `nonce` are for the ID token; the first events have neither.
    """

    transaction_id: str
    client_id: str
    client_registration: int
    user_id: str
    session_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    resource: str
    code_challenge: str
    issued_at: int
    expires_at: int
    auth_time: int | None = None
    nonce: str | None = None


class CodeRedeemed(Struct, frozen=True, kw_only=True, tag="authorization_code.redeemed.v1"):
    """The client proved that the code is its own, and a grant was opened."""

    grant_id: str
    redeemed_at: int


class CodeReplayed(Struct, frozen=True, kw_only=True, tag="authorization_code.replayed.v1"):
    """A redeemed code came back with all that proves it. The grant that it had opened is revoked with it."""

    grant_id: str
    replayed_at: int


Event = CodeIssued | CodeRedeemed | CodeReplayed


class CodeUnknown(Refusal):
    """No such code was issued."""


class CodeBelongsToAnotherClient(Refusal):
    """The code was issued to another client."""


class CodeRedirectUriMismatch(Refusal):
    """The redirect URI is not the one the code was sent to."""


class CodeExpired(Refusal):
    """The code was not redeemed in time."""


class ConsentWithdrawnSince(Refusal):
    """The user has disconnected the client since the code was issued."""


class CodeAlreadyRedeemed(Refusal):
    """The code has opened its grant already; that grant is revoked."""


class AuthorizationCode(Struct, frozen=True, kw_only=True):
    """What was consented to, until it becomes a grant."""

    transaction_id: str
    client_id: str
    client_registration: int
    user_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    resource: str
    code_challenge: str
    expires_at: int
    auth_time: int | None = None
    nonce: str | None = None
    grant_id: str | None = None
    replayed: bool = False

    @property
    def asked(self) -> Asked:
        """What the user said yes to."""
        return Asked(
            client_registration=self.client_registration,
            redirect_host=redirect_uri.shown_host(self.redirect_uri),
            resource=self.resource,
            scopes=self.scopes,
        )

    def is_waiting(self, *, user_id: str, now: int) -> bool:
        """Whether this user's code may be sent once more: it still counts, and nobody has come with it."""
        return user_id == self.user_id and self.grant_id is None and now < self.expires_at

    def redeem(
        self,
        *,
        client_id: str,
        client_registration: int,
        redirect_uri: str | None,
        verifier: str | None,
        resources: tuple[str, ...],
        grant_id: str,
        now: int,
    ) -> tuple[CodeRedeemed | CodeReplayed, ...]:
        """Trade the code for `grant_id`, or remember that it was presented again.

        Returns nothing when a replay was remembered before. A replay is believed only from a request
        that would have been good the first time, so that nobody without the verifier can revoke a grant
        (OAuth 2.1 section 7.5.2).

        Raises `CodeBelongsToAnotherClient`, `CodeRedirectUriMismatch`, `CodeExpired`, the refusals of
        `pkce.check_verifier` and `resource_indicator.ResourceForeign`; each leaves the code as it was.
        """
        if (client_id, client_registration) != (self.client_id, self.client_registration):
            raise CodeBelongsToAnotherClient
        # OAuth 2.1 section 10.2: "MUST ensure that the redirect_uri parameter is [...] identical" when sent.
        if redirect_uri is not None and redirect_uri != self.redirect_uri:
            raise CodeRedirectUriMismatch
        pkce.check_verifier(verifier, self.code_challenge)
        resource_indicator.narrowed(resources, granted=self.resource)
        if self.grant_id is not None:
            return () if self.replayed else (CodeReplayed(grant_id=self.grant_id, replayed_at=now),)
        if now >= self.expires_at:
            raise CodeExpired
        return (CodeRedeemed(grant_id=grant_id, redeemed_at=now),)


def evolve(code: AuthorizationCode | None, event: Event) -> AuthorizationCode:
    match event:
        case CodeIssued():
            return AuthorizationCode(
                transaction_id=event.transaction_id,
                client_id=event.client_id,
                client_registration=event.client_registration,
                user_id=event.user_id,
                redirect_uri=event.redirect_uri,
                scopes=event.scopes,
                resource=event.resource,
                code_challenge=event.code_challenge,
                expires_at=event.expires_at,
                auth_time=event.auth_time,
                nonce=event.nonce,
            )
        case CodeRedeemed():
            assert code is not None
            return replace(code, grant_id=event.grant_id)
        case CodeReplayed():
            assert code is not None
            return replace(code, replayed=True)
        case _:
            assert_never(event)


CODE: Kind[AuthorizationCode] = Kind(
    category="code",
    state=AuthorizationCode,
    events=(CodeIssued, CodeRedeemed, CodeReplayed),
    evolve=evolve,
)
