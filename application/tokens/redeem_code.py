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
    CodeSealer,
    DecisionReader,
    Ledger,
    Randomness,
    TokenSealer,
)
from grantledger.application.provenance import Caller, by_client
from grantledger.application.resources.catalogue import Catalogue, Offered
from grantledger.application.retry import retry_on_conflict
from grantledger.application.tokens.current_tokens import CurrentTokens, Tokens
from grantledger.application.tokens.issue_id_token import IssueIdToken
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import (
    AuthorizationCode,
    CodeAlreadyRedeemed,
    CodeRedeemed,
    CodeReplayed,
    CodeUnknown,
    ConsentWithdrawnSince,
)
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.token_grant import (
    GRANT,
    AccessTokenSigned,
    Event,
    GrantOpened,
    TokenGrant,
    earliest,
)
from grantledger.domain.user_account import UserIsDisabled


class CodeRedemption(Struct, frozen=True, kw_only=True):
    """A token request with `grant_type=authorization_code` (OAuth 2.1 section 4.1.3).

    `issuer` is set if the client knows this server by another issuer identifier than the server's own.
    """

    credentials: ClientCredentials
    code: str
    code_verifier: str | None
    redirect_uri: str | None
    resources: tuple[str, ...]
    caller: Caller
    issuer: str | None = None


class RedeemCode:
    """Redeem an authorization code for the first tokens of a new grant.

    A second redemption that is valid in all other respects revokes the grant of the first one.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        facts: DecisionReader,
        codes: CodeSealer,
        authenticate: AuthenticateClient,
        sealer: TokenSealer,
        signer: AccessTokenSigner,
        current_tokens: CurrentTokens,
        issue_id_token: IssueIdToken,
        clock: Clock,
        randomness: Randomness,
        policy: ServerPolicy,
        catalogue: Catalogue,
    ) -> None:
        self._ledger = ledger
        self._facts = facts
        self._codes = codes
        self._authenticate = authenticate
        self._sealer = sealer
        self._signer = signer
        self._current_tokens = current_tokens
        self._issue_id_token = issue_id_token
        self._clock = clock
        self._randomness = randomness
        self._policy = policy
        self._catalogue = catalogue

    async def __call__(self, request: CodeRedemption) -> Tokens:
        """Return the first tokens of a new grant.

        Raises `ClientUnknown`, `ClientAuthenticationFailed`, `ClientIsDisabled`, `UserIsDisabled`,
        `CodeUnknown`, `CodeAlreadyRedeemed`, `ConsentWithdrawnSince`, `NoLongerOffered`, `RolesAllowNoScope`
        and the refusals of `AuthorizationCode.redeem`.
        """
        return await retry_on_conflict(lambda: self._redeem(request))

    async def _redeem(self, request: CodeRedemption) -> Tokens:
        transaction_id = self._codes.transaction_of(request.code)
        facts = None if transaction_id is None else await self._facts.code_facts(transaction_id)
        loaded = None if facts is None else facts.client.state
        client = await self._authenticate(request.credentials, request.caller, loaded)
        client.check_usable()
        if facts is None or facts.code.state is None:
            raise CodeUnknown
        code = facts.code.state
        if facts.user.state is None:
            raise UserIsDisabled
        user = facts.user.state
        user.check_usable()
        now = self._clock.now()
        grant_id = self._randomness.new_id()
        outcome = code.redeem(
            client_id=client.client_id,
            client_registration=client.registration,
            redirect_uri=request.redirect_uri,
            verifier=request.code_verifier,
            resources=request.resources,
            grant_id=grant_id,
            now=now,
        )
        by = by_client(client.client_id, request.caller)
        match outcome:
            case (CodeRedeemed(),):
                if facts.consent.state is None or not facts.consent.state.covers(code.asked):
                    raise ConsentWithdrawnSince
                empty: Versioned[TokenGrant] = Versioned(kind=GRANT, key=grant_id)
                offered = await self._catalogue.including((code.resource,))
                # Roles and settings may have changed since the code was issued.
                held = self._policy.roles.held(user.roles)
                scopes = held.left_of(offered.offer.left_of(code.scopes, resource=code.resource))
                started: list[Event] = [
                    self._opened(client, code, facts.code.key, scopes=scopes, offered=offered, now=now)
                ]
                if alg := offered.resource(code.resource).jwt:
                    started.append(AccessTokenSigned(kid=await self._signer.active_key(alg)))
                opened = empty.then(started)
                assert opened.state is not None
                # Sign before the code is consumed: if nothing can be signed now, the client can try again.
                tokens = await self._current_tokens(grant_id, opened.state, user, now=now)
                id_token = await self._issue_id_token(
                    code,
                    facts.user,
                    scopes=scopes,
                    access_token=tokens.access_token,
                    issuer=request.issuer,
                    now=now,
                )
                read = (facts.client.unchanged(), facts.user.unchanged(), facts.consent.unchanged())
                await self._ledger.record([facts.code.then(outcome), opened, *read], by)
                return replace(tokens, id_token=id_token)
            case (CodeReplayed(grant_id=suspect),):
                grant = await self._ledger.load(GRANT, suspect)
                revoked = grant.state.revoke("code_replayed", now=now) if grant.state else ()
                await self._ledger.record([facts.code.then(outcome), grant.then(revoked)], by)
        raise CodeAlreadyRedeemed

    def _opened(
        self,
        client: ClientRegistration,
        code: AuthorizationCode,
        code_key: str,
        *,
        scopes: tuple[str, ...],
        offered: Offered,
        now: int,
    ) -> GrantOpened:
        policy = self._policy
        limit = now + policy.grant_lifetime if policy.grant_lifetime is not None else None
        # A refresh token does not need the scope offline_access: many clients cannot ask for it, and would
        # send their users to the browser every hour.
        refreshes = client.refreshes
        return GrantOpened(
            client_id=client.client_id,
            client_registration=client.registration,
            user_id=code.user_id,
            code_key=code_key,
            resource=code.resource,
            scopes=scopes,
            nonce=self._randomness.token(),
            key_id=self._sealer.key_id,
            opened_at=now,
            access_expires_at=earliest(now + offered.access_token_lifetime(code.resource, client), limit),
            refresh_expires_at=earliest(now + policy.refresh_token_lifetime, limit) if refreshes else None,
            expires_at=limit,
        )
