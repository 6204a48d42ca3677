from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock
from grantledger.application.resources.catalogue import Catalogue
from grantledger.application.tokens.find_token import FindToken
from grantledger.application.tokens.mcp_session import McpSession, SessionUser, token_claims
from grantledger.application.tokens.personal_claims import PersonalClaimsReader
from grantledger.domain import resource_indicator
from grantledger.domain.aggregate import Versioned
from grantledger.domain.client_registration import ClientUnknown
from grantledger.domain.refusal import Refusal
from grantledger.domain.scope import EMAIL, PROFILE
from grantledger.domain.user_account import UserAccount, UserIsDisabled


class AccessTokenUnknown(Refusal):
    """The token is not an access token of this server."""


class AccessTokenForAnotherResource(Refusal):
    """The access token is for another resource."""


class LookUpSession:
    """Find the user, client and scopes of an access token. Revoking and disabling take effect at once."""

    def __init__(
        self,
        *,
        find_token: FindToken,
        personal_claims: PersonalClaimsReader,
        clock: Clock,
        policy: ServerPolicy,
        catalogue: Catalogue,
    ) -> None:
        self._find_token = find_token
        self._personal_claims = personal_claims
        self._clock = clock
        self._catalogue = catalogue
        self._issuer = policy.issuer
        self._roles = policy.roles

    async def __call__(self, access_token: str, *, resource: str | None = None) -> McpSession:
        """Return the session; with `resource`, only if the token is for it (RFC 8707).

        Takes one read. For a token with the scope `email` or `profile` it may take one more.

        Raises `AccessTokenUnknown`, `AccessTokenForAnotherResource`, `ClientUnknown`, `ClientIsDisabled`,
        `UserIsDisabled`, `NoLongerOffered`, `RolesAllowNoScope` and the refusals of
        `TokenGrant.check_access`.
        """
        found = await self._find_token(access_token)
        if found is None or found.is_refresh_token:
            raise AccessTokenUnknown
        grant, facts = found.grant, found.facts
        access = grant.check_access(
            generation=found.generation,
            pair=found.pair,
            expires_at=found.expires_at,
            now=self._clock.now(),
        )
        if facts.client.state is None:
            raise ClientUnknown(grant.client_id)
        facts.client.state.check_usable(grant.client_registration)
        user = facts.user.state
        if user is None:
            raise UserIsDisabled(grant.user_id)
        user.check_usable()
        if resource is not None and not resource_indicator.same(resource, access.resource):
            raise AccessTokenForAnotherResource
        offered = await self._catalogue.including((access.resource,))
        held = self._roles.held(user.roles)
        scopes = held.left_of(offered.offer.left_of(access.scopes, resource=access.resource))
        user_id, client_id = grant.user_id, grant.client_id
        issued = found.generation == grant.generation  # the start of older tokens is not known
        return McpSession(
            access_token=access_token,
            expires_at=found.expires_at,
            client_id=client_id,
            user_id=user_id,
            user=await self._user(facts.user, scopes),
            scopes=scopes,
            resource=access.resource,
            claims=token_claims(
                issuer=self._issuer,
                subject=user_id,
                resource=access.resource,
                client_id=client_id,
                scopes=scopes,
                expires_at=found.expires_at,
                issued_at=grant.issued_at if issued else None,
                roles=held.names,
                permissions=held.permissions,
            ),
            roles=held.names,
            permissions=held.permissions,
            grant_id=found.grant_id,
        )

    async def _user(self, user: Versioned[UserAccount], scopes: tuple[str, ...]) -> SessionUser | None:
        if EMAIL not in scopes and PROFILE not in scopes:
            return None
        known = await self._personal_claims(user, scopes)
        return SessionUser(email=known.email, email_verified=known.email_verified, name=known.name)
