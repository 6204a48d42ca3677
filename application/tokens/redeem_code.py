from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from grantledger.application.clients.authenticate_client import (
    AuthenticateClient,
    ClientCredentials,
)
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Conflict, Ledger, Randomness, TokenSealer
from grantledger.application.provenance import Caller, Provenance, by_client
from grantledger.application.retry import retry_on_conflict
from grantledger.application.tokens.current_tokens import Tokens, current_tokens
from grantledger.application.tokens.issue_id_token import IssueIdToken
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import (
    CODE,
    AuthorizationCode,
    CodeAlreadyRedeemed,
    CodeRedeemed,
    CodeReplayed,
    CodeUnknown,
    ConsentWithdrawnSince,
)
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.consent import CONSENT, consent_key
from grantledger.domain.digests import digest
from grantledger.domain.token_grant import GRANT, GrantOpened, TokenGrant, earliest, evolve
from grantledger.domain.user_account import USER, UserIsDisabled


class CodeRedemption(Struct, frozen=True, kw_only=True):
    """A token request with `grant_type=authorization_code` (OAuth 2.1 section 4.1.3)."""

    credentials: ClientCredentials
    code: str
    code_verifier: str | None
    redirect_uri: str | None
    resources: tuple[str, ...]
    caller: Caller


class RedeemCode:
    """Redeem an authorization code for the first tokens of a new grant.

    A second request that would have succeeded the first time revokes the grant of the first redemption.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        authenticate: AuthenticateClient,
        sealer: TokenSealer,
        issue_id_token: IssueIdToken,
        clock: Clock,
        randomness: Randomness,
        policy: ServerPolicy,
    ) -> None:
        self._ledger = ledger
        self._authenticate = authenticate
        self._sealer = sealer
        self._issue_id_token = issue_id_token
        self._clock = clock
        self._randomness = randomness
        self._policy = policy

    async def __call__(self, request: CodeRedemption) -> Tokens:
        """Return the first tokens of a new grant.

        Raises `ClientUnknown`, `ClientAuthenticationFailed`, `ClientIsDisabled`, `UserIsDisabled`,
        `CodeUnknown`, `CodeAlreadyRedeemed`, `ConsentWithdrawnSince` and the refusals of
        `AuthorizationCode.redeem`.
        """
        return await retry_on_conflict(lambda: self._redeem(request))

    async def _redeem(self, request: CodeRedemption) -> Tokens:
        client = await self._authenticate(request.credentials, request.caller)
        client.check_usable()
        code = await self._ledger.load(CODE, digest(request.code))
        if code.state is None:
            raise CodeUnknown
        user = (await self._ledger.load(USER, code.state.user_id)).state
        if user is None:
            raise UserIsDisabled
        user.check_usable()
        now = self._clock.now()
        grant_id = self._randomness.token(size=16)
        outcome = code.state.redeem(
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
                opened = self._opened(client, code.key, code.state, now)
                grant: Versioned[TokenGrant] = Versioned(kind=GRANT, key=grant_id)
                tokens = current_tokens(self._sealer, grant_id, evolve(None, opened), now=now)
                # Before the code is consumed: where nothing can be signed now, the client can come again.
                id_token = await self._issue_id_token(code.state, access_token=tokens.access_token, now=now)
                await self._check_consent(code.state)
                await self._ledger.record([code.then(outcome), grant.then([opened])], by)
                await self._check_consent_again(code.state, grant.evolved([opened]), by)
                return replace(tokens, id_token=id_token)
            case (CodeReplayed(grant_id=suspect),):
                grant = await self._ledger.load(GRANT, suspect)
                assert grant.state is not None
                revoked = grant.state.revoke("code_replayed", now=now)
                await self._ledger.record([code.then(outcome), grant.then(revoked)], by)
        raise CodeAlreadyRedeemed

    async def _check_consent(self, code: AuthorizationCode) -> None:
        """Raise `ConsentWithdrawnSince` where the user has disconnected the client meanwhile."""
        consent = await self._ledger.load(CONSENT, consent_key(code.user_id, code.client_id))
        if consent.state is None or not consent.state.covers(code.asked):
            raise ConsentWithdrawnSince

    async def _check_consent_again(
        self, code: AuthorizationCode, grant: Versioned[TokenGrant], by: Provenance
    ) -> None:
        """Leave no grant to who was disconnected at the moment at which it was not there to be revoked."""
        try:
            await self._check_consent(code)
        except ConsentWithdrawnSince:
            assert grant.state is not None
            revoked = grant.state.revoke("revoked_by_user", now=self._clock.now())
            with suppress(Conflict):  # revoked by the disconnection after all
                await self._ledger.record([grant.then(revoked)], by)
            raise

    def _opened(
        self, client: ClientRegistration, code_key: str, code: AuthorizationCode, now: int
    ) -> GrantOpened:
        policy = self._policy
        limit = now + policy.grant_lifetime if policy.grant_lifetime is not None else None
        # A refresh token does not need the scope offline_access: many clients cannot ask for it, and would
        # send their users to the browser every hour.
        refreshes = "refresh_token" in client.metadata.grant_types
        return GrantOpened(
            client_id=client.client_id,
            client_registration=client.registration,
            user_id=code.user_id,
            code_key=code_key,
            resource=code.resource,
            scopes=code.scopes,
            nonce=self._randomness.token(),
            key_id=self._sealer.key_id,
            opened_at=now,
            access_expires_at=earliest(now + policy.access_token_lifetime, limit),
            refresh_expires_at=earliest(now + policy.refresh_token_lifetime, limit) if refreshes else None,
            expires_at=limit,
        )
