from msgspec import Struct

from grantledger.application.ports import PrivateRecords
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.domain.refusal import Refusal
from grantledger.domain.scope import EMAIL, OPENID


class OpenidNotGranted(Refusal):
    """The access token does not have the scope `openid`."""


class UserInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims about the user (OpenID Connect Core section 5.1). What is not known, or erased, is left out."""

    sub: str
    email: str | None = None
    email_verified: bool | None = None


class DescribeUser:
    """Tell a client about the user, as far as its access token reaches, whatever its resource."""

    def __init__(self, look_up_session: LookUpSession, private: PrivateRecords) -> None:
        self._look_up_session = look_up_session
        self._private = private

    async def __call__(self, access_token: str) -> UserInfo:
        """Raises `OpenidNotGranted` and the refusals of `LookUpSession`."""
        session = await self._look_up_session(access_token)
        if OPENID not in session.scopes:
            raise OpenidNotGranted
        email = await self._private.value(session.user_id, "email") if EMAIL in session.scopes else None
        # Nobody has ever proved that the address is theirs.
        return UserInfo(sub=session.user_id, email=email, email_verified=None if email is None else False)
