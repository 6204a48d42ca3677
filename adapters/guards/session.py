"""The session of a request, for the code behind a guard."""

from collections.abc import Iterable, Mapping
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


RequestHeaders = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""The headers of a request: a framework's object, a mapping, or pairs as in an ASGI scope.

A `dict` of two Authorization headers has only one of them: pass pairs, or the framework's object.
"""


def authorization_headers(headers: RequestHeaders) -> list[tuple[bytes, bytes]]:
    """Return every Authorization header. A character that no header can hold becomes a question mark."""
    pairs: Iterable[tuple[str | bytes, str | bytes]]
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    raw = ((_bytes(name).lower(), value) for name, value in pairs)
    return [(name, _bytes(value)) for name, value in raw if name == b"authorization"]


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")


class GetMcpSession:
    def __init__(self, look_up_session: LookUpSession) -> None:
        self._look_up_session = look_up_session

    async def __call__(self, headers: RequestHeaders, *, resource: str | None = None) -> McpSession | None:
        """Return the session of the request's access token, None if there is no token or it is refused.

        Only Authorization headers are read; of two none counts. Raises `Unavailable` if the token cannot be
        checked now.
        """
        try:
            token = bearer_token(authorization_headers(headers))
            return await self._look_up_session(token, resource=resource) if token else None
        except (AuthorizationMalformed, Refusal):
            return None
