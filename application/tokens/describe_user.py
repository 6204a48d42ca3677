from msgspec import Struct

from grantledger.application.ports import PrivateRecords
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.domain.refusal import Refusal
from grantledger.domain.scope import EMAIL, OPENID


class OpenidNotGranted(Refusal):
    """The access token does not have the scope `openid`."""


class UserInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims about the user (OpenID Connect Core section 5.1). Unknown or erased ones are omitted."""

    sub: str
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
        email = await self._private.value(session.user_id, "email") if EMAIL in session.scopes else None
        # We do not verify addresses.
        return UserInfo(sub=session.user_id, email=email, email_verified=None if email is None else False)
