from contextlib import nullcontext

from msgspec import Struct
from msgspec.structs import replace

from grantledger.application.clients.authenticate_client import (
    AuthenticateClient,
    ClientCredentials,
)
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import (
    AccessTokenSigner,
    Clock,
    DecisionReader,
    Ledger,
    NetworkDigests,
    TokenSealer,
)
from grantledger.application.provenance import Caller, by_client
from grantledger.application.resources.catalogue import Catalogue, Offered
from grantledger.application.retry import retry_on_conflict
from grantledger.application.throttling import ActionLimit
from grantledger.application.tokens.current_tokens import CurrentTokens, Tokens
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.token_grant import (
    GrantRefreshed,
    Lifetimes,
    Narrowing,
    RefreshRetriedElsewhere,
    RefreshTokenAlreadyUsed,
    RefreshTokenReused,
    RefreshTokenUnknown,
    TokenGrant,
)
from grantledger.domain.user_account import UserIsDisabled


class Refresh(Struct, frozen=True, kw_only=True):
    """A token request with `grant_type=refresh_token` (OAuth 2.1 section 4.3.1)."""

    credentials: ClientCredentials
    refresh_token: str
    scope: str | None
    resources: tuple[str, ...]
    caller: Caller


class RefreshGrant:
    """Exchange a refresh token for the next tokens of its grant.

    Parallel and retried requests with one refresh token all get the same tokens, within the reuse window.
    After the window, the refresh token is refused as a reuse and its grant is revoked.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        facts: DecisionReader,
        authenticate: AuthenticateClient,
        sealer: TokenSealer,
        signer: AccessTokenSigner,
        current_tokens: CurrentTokens,
        network_digests: NetworkDigests,
        clock: Clock,
        policy: ServerPolicy,
        catalogue: Catalogue,
        limit: ActionLimit,
    ) -> None:
        self._limit = limit
        self._ledger = ledger
        self._facts = facts
        self._authenticate = authenticate
        self._sealer = sealer
        self._signer = signer
        self._current_tokens = current_tokens
        self._network_digests = network_digests
        self._clock = clock
        self._lifetimes = policy.lifetimes
        self._roles = policy.roles
        self._catalogue = catalogue

    async def __call__(self, request: Refresh) -> Tokens:
        """Return the current tokens of the grant.

        Raises `ClientUnknown`, `ClientAuthenticationFailed`, `ClientIsDisabled`, `UserIsDisabled`,
        `NoLongerOffered`, `RefreshTokenAlreadyUsed`, `TooManyActions`, and the refusals of
        `TokenGrant.refresh`.
        """
        return await retry_on_conflict(lambda: self._refresh(request))

    def _lifetimes_of(self, offered: Offered, grant: TokenGrant, client: ClientRegistration) -> Lifetimes:
        access_token = offered.access_token_lifetime(grant.consented.resource, client)
        if access_token == self._lifetimes.access_token:
            return self._lifetimes
        return replace(self._lifetimes, access_token=access_token)

    async def _refresh(self, request: Refresh) -> Tokens:
        sealed = self._sealer.read(request.refresh_token)
        facts = None
        if sealed is not None and sealed.is_refresh_token:
            facts = await self._facts.grant_facts(sealed.claims.grant_id)
        loaded = None if facts is None else facts.client.state
        client = await self._authenticate(request.credentials, request.caller, loaded)
        if sealed is None or facts is None or facts.grant.state is None:
            raise RefreshTokenUnknown
        grant = facts.grant.state
        if not sealed.is_genuine(grant.nonce):
            raise RefreshTokenUnknown
        grant.check_belongs_to(client.client_id, client.registration)
        client.check_usable()
        user = facts.user.state
        if user is None:
            raise UserIsDisabled
        user.check_usable()
        offered = await self._catalogue.including((grant.consented.resource,))
        offered.offer.left_of(grant.consented.scopes, resource=grant.consented.resource)
        held = self._roles.held(user.roles)
        alg = offered.resource(grant.consented.resource).jwt
        now = self._clock.now()
        events = grant.refresh(
            client_id=client.client_id,
            client_registration=client.registration,
            generation=sealed.claims.generation,
            asked=Narrowing(
                scope=request.scope,
                resources=request.resources,
                known_scopes=offered.offer.scopes - held.withheld,
                role_scopes=self._roles.scopes,
            ),
            key_id=self._sealer.key_id,
            lifetimes=self._lifetimes_of(offered, grant, client),
            networks=self._network_digests(request.caller.address),
            signing_key=await self._signer.active_key(alg) if alg else None,
            now=now,
        )
        change = facts.grant.then(events)
        assert change.state is not None
        reused = any(isinstance(event, RefreshTokenReused) for event in events)
        # Sign before the commit: if nothing can be signed now, the refresh has not happened.
        tokens = None if reused else await self._current_tokens(change.key, change.state, user, now=now)
        # Retries are not counted: they change nothing, and 20 parallel requests are one refresh.
        rotates = any(isinstance(event, GrantRefreshed) for event in events)
        with self._limit.counted(change.key) if rotates else nullcontext():
            await self._ledger.record(
                [change, facts.client.unchanged(), facts.user.unchanged()],
                by_client(client.client_id, request.caller),
            )
        if tokens is None:
            raise RefreshTokenAlreadyUsed
        if any(isinstance(event, RefreshRetriedElsewhere) for event in events):
            return replace(tokens, retried_elsewhere=True)
        return tokens
