from msgspec import Struct

from grantledger.application.ports import AccessTokenSigner, DecisionReader, GrantFacts, TokenSealer
from grantledger.domain.token_grant import TokenGrant


class FoundToken(Struct, frozen=True, kw_only=True):
    """A token of ours, with its grant as one read saw it. Whether it is still accepted is not checked yet.

    `pair` is the index of its resource and scopes in the grant.
    """

    is_refresh_token: bool
    grant_id: str
    generation: int
    expires_at: int
    pair: int
    grant: TokenGrant
    facts: GrantFacts


class FindToken:
    """Recognise a token of ours: by its seal if it is opaque, by its signature if a JWT, and by its grant."""

    def __init__(self, facts: DecisionReader, sealer: TokenSealer, signer: AccessTokenSigner) -> None:
        self._facts = facts
        self._sealer = sealer
        self._signer = signer

    async def __call__(self, token: str) -> FoundToken | None:
        """Return the token, or None if it is not one of ours."""
        sealed = self._sealer.read(token)
        if sealed is None:
            return await self._jwt(token) if token.startswith("eyJ") else None
        claims = sealed.claims
        facts = await self._facts.grant_facts(claims.grant_id)
        if facts is None or facts.grant.state is None or not sealed.is_genuine(facts.grant.state.nonce):
            return None
        return FoundToken(
            is_refresh_token=sealed.is_refresh_token,
            grant_id=claims.grant_id,
            generation=claims.generation,
            expires_at=claims.expires_at,
            pair=claims.pair,
            grant=facts.grant.state,
            facts=facts,
        )

    async def _jwt(self, token: str) -> FoundToken | None:
        claims = await self._signer.read(token)
        facts = None if claims is None else await self._facts.grant_facts(claims.grant_id)
        if claims is None or facts is None or facts.grant.state is None:
            return None
        grant = facts.grant.state
        # What the token says must be what the grant says: a signature alone gives no access.
        pair = grant.pair_of(claims.aud, claims.scope)
        if pair is None or (claims.sub, claims.client_id) != (grant.user_id, grant.client_id):
            return None
        return FoundToken(
            is_refresh_token=False,
            grant_id=claims.grant_id,
            generation=claims.generation,
            expires_at=claims.exp,
            pair=pair,
            grant=grant,
            facts=facts,
        )
