from msgspec import Struct

from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.mcp_session import SessionUser
from grantledger.domain.refusal import Refusal
from grantledger.domain.scope import OPENID, ROLES


class OpenidNotGranted(Refusal):
    """The access token does not have the scope `openid`."""


class UserInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims about the user (OpenID Connect Core section 5.1), and the user's roles.

    What is unknown, erased or not granted is omitted.
    """

    sub: str
    name: str | None = None
    email: str | None = None
    email_verified: bool | None = None
    roles: tuple[str, ...] | None = None
    permissions: tuple[str, ...] | None = None


class DescribeUser:
    """Return the claims about the user that the scopes of an access token allow.

    The token may be for any resource.
    """

    def __init__(self, look_up_session: LookUpSession) -> None:
        self._look_up_session = look_up_session

    async def __call__(self, access_token: str) -> UserInfo:
        """Raises `OpenidNotGranted` and the refusals of `LookUpSession`."""
        session = await self._look_up_session(access_token)
        # A machine's token names no user, so there are no claims to return.
        if OPENID not in session.scopes or session.user_id is None:
            raise OpenidNotGranted
        user = session.user or SessionUser()
        tells_roles = ROLES in session.scopes
        return UserInfo(
            sub=session.user_id,
            name=user.name,
            email=user.email,
            email_verified=user.email_verified,
            roles=session.roles if tells_roles else None,
            permissions=session.permissions if tells_roles else None,
        )
