"""How a refused call asks for more: the scopes to name, and the result of a tool that was not run."""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from msgspec import Struct

from grantledger.adapters.guards.challenge import challenge
from grantledger.adapters.guards.scope_hierarchy import Inclusion
from grantledger.adapters.http.errors import GuardRefusal
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.scope import OFFLINE_ACCESS

WWW_AUTHENTICATE = "mcp/www_authenticate"
"""The member of a tool result's `_meta` from which ChatGPT opens its sign-in."""


class AccessRefused(Exception):  # noqa: N818 - the fact
    """The session may not do this. `missing` are the scopes that it lacks, empty if scopes would not help."""

    def __init__(self, missing: Iterable[str] = (), *, session: McpSession | None) -> None:
        self.missing = tuple(missing)
        scopes = f" the scopes {' '.join(self.missing)}" if self.missing else ""
        if session is None:
            super().__init__(f"This needs an access token{' with' + scopes if scopes else ''}.")
        elif scopes:
            super().__init__(f"The access token needs{scopes}.")
        else:
            super().__init__(GuardRefusal.CALL_FORBIDDEN.value.message)


class StepUp(Struct, frozen=True, kw_only=True):
    """What the challenge of a refused call needs from the guard. The defaults are for calls without one."""

    metadata_url: str | None = None
    inclusion: Inclusion = Inclusion({})

    def scopes(self, missing: tuple[str, ...], session: McpSession | None) -> tuple[str, ...]:
        """Return the scopes to ask for: those that the token has, and all that are missing.

        Some clients ask for the named scopes only, and would lose the others. `offline_access` is about the
        client and not about the resource, so no challenge names it.
        """
        if not missing:
            return ()
        granted = () if session is None else session.scopes
        wanted = self.inclusion.shortest((*granted, *missing))
        return tuple(scope for scope in wanted if scope != OFFLINE_ACCESS and _can_be_named(scope))

    def challenge(self, refused: AccessRefused, session: McpSession | None) -> str | None:
        """Return the value of `WWW-Authenticate`, None if another access token would not help."""
        scopes = self.scopes(refused.missing, session)
        if session is None:  # RFC 6750 section 3.1: no error for a request without a token
            return challenge(self.metadata_url, scopes=scopes)
        if not refused.missing:
            return None
        reason = GuardRefusal.SCOPE_MISSING.value
        return challenge(
            self.metadata_url, scopes=scopes, error=reason.error, error_description=reason.description
        )

    def result(self, refused: AccessRefused, session: McpSession | None) -> dict[str, Any]:
        """Return the result of a tool call that was refused."""
        result: dict[str, Any] = {"content": [{"type": "text", "text": str(refused)}], "isError": True}
        authenticate = self.challenge(refused, session)
        if authenticate is not None:
            result["_meta"] = {WWW_AUTHENTICATE: [authenticate]}
        return result


step_up_of_call: ContextVar[StepUp] = ContextVar("grantledger_step_up", default=StepUp())  # noqa: B039 - frozen


def refused_result(refused: AccessRefused, session: McpSession | None) -> object:
    """Return the result for the `mcp` SDK and FastMCP, or raise `refused` without the SDK."""
    try:
        from mcp.types import CallToolResult  # noqa: PLC0415 - an extra
    except ImportError:
        raise refused from None
    return CallToolResult.model_validate(step_up_of_call.get().result(refused, session))


def _can_be_named(scope: str) -> bool:
    """Whether a challenge can hold it: another issuer's scopes may have any characters."""
    try:
        challenge(None, scopes=(scope,))
    except ValueError:
        return False
    return bool(scope) and " " not in scope
