"""The settings of the operator, in the form that the use cases need."""

from msgspec import Struct

from grantledger.domain.authorization_request import Askable
from grantledger.domain.client_metadata import RegistrationPolicy
from grantledger.domain.offer import Offer
from grantledger.domain.redirect_uri import RedirectUriPolicy
from grantledger.domain.resource_indicator import Resource
from grantledger.domain.role import Roles
from grantledger.domain.signing_keys import ES256
from grantledger.domain.token_grant import Lifetimes

JWKS_MAX_AGE = 300
"""How many seconds a client may cache the response of `/jwks`."""


class ServerPolicy(Struct, frozen=True, kw_only=True):
    """Lifetimes are in seconds. The first resource is the default one.

    `grant_lifetime` is the absolute limit of a grant; None means no limit.
    """

    issuer: str
    resources: tuple[Resource, ...]
    server_scopes: tuple[str, ...]
    default_scope: tuple[str, ...]
    private_use_redirect_uris: tuple[str, ...]
    code_lifetime: int
    access_token_lifetime: int
    refresh_token_lifetime: int
    grant_lifetime: int | None
    refresh_reuse_window: int
    browser_session_lifetime: int
    # "open", "token" or "closed"
    registration_mode: str = "open"
    documentation: str | None = None
    # Seconds after which a client that was never used is deleted; None means never.
    unused_client_lifetime: int | None = None
    roles: Roles = Roles()
    transaction_lifetime: int = 600
    id_token_lifetime: int = 3600
    # Twelve times the cache lifetime of /jwks: some clients cache the keys for longer.
    signing_key_lead: int = 12 * JWKS_MAX_AGE

    @property
    def signing_key_verified_for(self) -> int:
        """How long the last signature of a key may be verified, with 300 s for clients with slow clocks."""
        return max(self.id_token_lifetime, self.access_token_lifetime) + 300

    @property
    def signing_algorithms(self) -> frozenset[str]:
        """The algorithms that need keys: the algorithm of ID tokens, and those of the resources."""
        return frozenset((ES256, *(each.jwt for each in self.resources if each.jwt is not None)))

    @property
    def known_scopes(self) -> tuple[str, ...]:
        """The server's own scopes and those of its resources."""
        return tuple(dict.fromkeys((*self.server_scopes, *(s for r in self.resources for s in r.scopes))))

    @property
    def offer(self) -> Offer:
        return Offer(frozenset(r.identifier for r in self.resources), frozenset(self.known_scopes))

    @property
    def registration(self) -> RegistrationPolicy:
        return RegistrationPolicy(
            redirect_uris=RedirectUriPolicy(private_use=self.private_use_redirect_uris, issuer=self.issuer),
            known_scopes=self.known_scopes,
            default_scope=self.default_scope,
        )

    @property
    def askable(self) -> Askable:
        return Askable(
            resources=self.resources, server_scopes=self.server_scopes, default_scope=self.default_scope
        )

    @property
    def lifetimes(self) -> Lifetimes:
        return Lifetimes(
            access_token=self.access_token_lifetime,
            refresh_token=self.refresh_token_lifetime,
            reuse_window=self.refresh_reuse_window,
        )
