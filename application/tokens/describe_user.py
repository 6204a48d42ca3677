from msgspec import Struct

from grantledger.application.ports import PrivateRecords
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.personal_claims import personal_claims
from grantledger.domain.refusal import Refusal
from grantledger.domain.scope import OPENID


class OpenidNotGranted(Refusal):
    """The access token does not have the scope `openid`."""


class UserInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims about the user (OpenID Connect Core section 5.1). Unknown or erased ones are omitted."""

    sub: str
    name: str | None = None
    email: str | None = None
    email_verified: bool | None = None


class DescribeUser:
    """Return the claims about the user that the scopes of an access token allow, for any resource."""

    def __init__(self, look_up_session: LookUpSession, private: PrivateRecords) -> None:
        self._look_up_session = look_up_session
        self._private = private

    async def __call__(self, access_token: str) -> UserInfo:
        """Raises `OpenidNotGranted` and the refusals of `LookUpSession`."""
        session = await self._look_up_session(access_token)
        if OPENID not in session.scopes:
            raise OpenidNotGranted
        claims = await personal_claims(self._private, session.user_id, session.scopes)
        return UserInfo(
            sub=session.user_id, name=claims.name, email=claims.email, email_verified=claims.email_verified
        )
