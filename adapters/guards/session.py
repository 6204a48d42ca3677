"""The session of a request, for the code behind a guard."""

from collections.abc import Mapping
from contextvars import ContextVar

from msgspec import Struct

from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.application.tokens.look_up_session import LookUpSession, McpSession
from grantledger.domain.refusal import Refusal


class Verified(Struct, frozen=True, kw_only=True):
    """A token that a guard has checked, and its session at `resource`."""

    token: str
    resource: str
    session: McpSession


# ASGI servers run each request in a context of its own.
verified: ContextVar[Verified | None] = ContextVar("grantledger_verified", default=None)


def current_session() -> McpSession | None:
    """Return the session of the current request, None if no guard has checked it."""
    found = verified.get()
    return None if found is None else found.session


class GetMcpSession:
    def __init__(self, look_up_session: LookUpSession) -> None:
        self._look_up_session = look_up_session

    async def __call__(self, headers: Mapping[str, str], *, resource: str | None = None) -> McpSession | None:
        """Return the session of the request's access token, None if there is no token or it is refused.

        Only the Authorization header is read. Raises `Unavailable` if the token cannot be checked now.
        """
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        try:
            token = bearer_token(raw)
            return await self._look_up_session(token, resource=resource) if token else None
        except (AuthorizationMalformed, Refusal):
            return None
