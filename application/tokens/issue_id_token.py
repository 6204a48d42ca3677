import hashlib

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import IdTokenClaims, IdTokenSigner
from grantledger.application.tokens.personal_claims import PersonalClaimsReader
from grantledger.domain import base64url
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import AuthorizationCode
from grantledger.domain.scope import OPENID, ROLES
from grantledger.domain.user_account import UserAccount


class IssueIdToken:
    """Issue an ID token for a code that grants `openid` (OpenID Connect Core section 2)."""

    def __init__(
        self, signer: IdTokenSigner, personal_claims: PersonalClaimsReader, policy: ServerPolicy
    ) -> None:
        self._signer = signer
        self._personal_claims = personal_claims
        self._issuer = policy.issuer
        self._roles = policy.roles
        self._lifetime = policy.id_token_lifetime

    async def __call__(
        self,
        code: AuthorizationCode,
        user: Versioned[UserAccount],
        *,
        scopes: tuple[str, ...],
        access_token: str,
        issuer: str | None,
        now: int,
    ) -> str | None:
        """Return the ID token, or None if `openid` is not among the granted scopes. Raises `Unavailable`.

        `issuer` is set if the client knows this server by another issuer identifier than the server's own.
        """
        if OPENID not in scopes:
            return None
        personal = await self._personal_claims(user, scopes)
        held = self._roles.held(user.state.roles) if user.state is not None and ROLES in scopes else None
        return await self._signer.sign(
            IdTokenClaims(
                iss=issuer or self._issuer,
                sub=code.user_id,
                aud=code.client_id,
                iat=now,
                exp=now + self._lifetime,
                at_hash=at_hash(access_token),
                auth_time=code.auth_time,
                nonce=code.nonce,
                name=personal.name,
                email=personal.email,
                email_verified=personal.email_verified,
                roles=None if held is None else held.names,
                permissions=None if held is None else held.permissions,
            )
        )


def at_hash(access_token: str) -> str:
    """Return the base64url of the left half of the token's SHA-256, for ES256 (section 3.1.3.6)."""
    left_half = hashlib.sha256(access_token.encode()).digest()[:16]
    return base64url.encode(left_half)
