"""What a guard found out about a request, for the code behind it."""

from contextvars import ContextVar

from msgspec import Struct

from grantledger.application.look_up_session import McpSession


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
