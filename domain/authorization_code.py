"""An authorization code: sent through the browser, redeemed for one grant (OAuth 2.1 section 4.1)."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain import pkce, redirect_uri, resource_indicator
from grantledger.domain.aggregate import Kind
from grantledger.domain.consent import Asked
from grantledger.domain.refusal import Refusal


class CodeIssued(Struct, frozen=True, kw_only=True, array_like=True, tag="authorization_code.issued.v1"):
    """The user consented, and the browser was redirected to the client with a code.

    `auth_time` and `nonce` are for the ID token. The nonce is stored only with the scope `openid`.
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


class CodeRedeemed(Struct, frozen=True, kw_only=True, array_like=True, tag="authorization_code.redeemed.v1"):
    """The client redeemed the code with a matching verifier, and a grant was opened."""

    grant_id: str
    redeemed_at: int


class CodeReplayed(Struct, frozen=True, kw_only=True, array_like=True, tag="authorization_code.replayed.v1"):
    """A redeemed code was presented again with a matching verifier. Its grant is revoked with this event."""

    grant_id: str
    replayed_at: int


Event = CodeIssued | CodeRedeemed | CodeReplayed


class CodeUnknown(Refusal):
    """No such code."""


class CodeBelongsToAnotherClient(Refusal):
    """The code was issued to another client."""


class CodeRedirectUriMismatch(Refusal):
    """The redirect URI is not the one that the code was sent to."""


class CodeExpired(Refusal):
    """The code was not redeemed in time."""


class ConsentWithdrawnSince(Refusal):
    """The user has withdrawn the consent since the code was issued."""


class CodeAlreadyRedeemed(Refusal):
    """The code was redeemed before. The grant from that redemption is revoked."""


class AuthorizationCode(Struct, frozen=True, kw_only=True, array_like=True):
    """What the user consented to, and whether it was redeemed."""

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
        """What the user consented to."""
        return Asked(
            client_registration=self.client_registration,
            redirect_host=redirect_uri.shown_host(self.redirect_uri),
            resource=self.resource,
            scopes=self.scopes,
        )

    def can_be_sent_again(self, *, user_id: str, now: int) -> bool:
        """Whether the code is this user's, and neither redeemed nor expired."""
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
        """Redeem the code for the grant `grant_id`, or record a replay.

        Returns no events if a replay is recorded already. A second request counts as a replay only if it is
        valid in all other respects: without the verifier, an attacker cannot revoke a grant (OAuth 2.1
        section 7.5.2).

        Raises `CodeExpired`, `CodeBelongsToAnotherClient`, `CodeRedirectUriMismatch`, the refusals of
        `pkce.check_verifier` and `resource_indicator.ResourceForeign`. None of them changes the code.
        """
        # Checked first: the ledger deletes expired codes later, and when it does must not change the answer.
        if now >= self.expires_at:
            raise CodeExpired
        if (client_id, client_registration) != (self.client_id, self.client_registration):
            raise CodeBelongsToAnotherClient
        # OAuth 2.1 section 10.2: "MUST ensure that the redirect_uri parameter is [...] identical" if sent.
        if redirect_uri is not None and redirect_uri != self.redirect_uri:
            raise CodeRedirectUriMismatch
        pkce.check_verifier(verifier, self.code_challenge)
        resource_indicator.narrowed(resources, granted=self.resource)
        if self.grant_id is not None:
            return () if self.replayed else (CodeReplayed(grant_id=self.grant_id, replayed_at=now),)
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
