"""What a guard found out about a request, for the code behind it."""

from collections.abc import Mapping
from contextvars import ContextVar

from msgspec import Struct

from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.application.tokens.look_up_session import LookUpSession, McpSession
from grantledger.domain.refusal import Refusal


class Verified(Struct, frozen=True, kw_only=True):
    """A token, and the session that it speaks for at `resource`."""

    token: str
    resource: str
    session: McpSession


# Set for the one request that it is about: ASGI servers run each in a context of its own.
verified: ContextVar[Verified | None] = ContextVar("grantledger_verified", default=None)


def current_session() -> McpSession | None:
    """Return the session that the guard found for the request being answered; None where no guard stands."""
    found = verified.get()
    return None if found is None else found.session


class GetMcpSession:
    def __init__(self, look_up_session: LookUpSession) -> None:
        self._look_up_session = look_up_session

    async def __call__(self, headers: Mapping[str, str], *, resource: str | None = None) -> McpSession | None:
        """Return who the request's access token speaks for, None for none or one that is refused.

        Only the Authorization header is read. Raises `Unavailable` when nothing can be said.
        """
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        try:
            token = bearer_token(raw)
            return await self._look_up_session(token, resource=resource) if token else None
        except (AuthorizationMalformed, Refusal):
            return None
