"""Scopes that include others, such as `todo:admin` that includes `todo:write`.

MCP: servers "MUST account for scope hierarchies". The session has the included scopes too, so every check of
a scope accounts for them, whichever framework makes it.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from grantledger.adapters.guards.check import names
from grantledger.adapters.guards.source import GuardedResource
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.scope import checked_token

ScopeHierarchy = Mapping[str, str | Iterable[str]]
"""Maps a scope to the scopes that it includes."""


class Inclusion:
    """A hierarchy with its indirect inclusions: if A includes B, and B includes C, then A includes C."""

    def __init__(self, hierarchy: ScopeHierarchy) -> None:
        """Raises `ValueError` for a text that is no scope."""
        self._direct = {
            checked_token(scope): tuple(map(checked_token, names(included)))
            for scope, included in hierarchy.items()
        }

    def including(self, scopes: Iterable[str]) -> tuple[str, ...]:
        """Return the scopes, and after them all that they include."""
        found = dict.fromkeys(scopes)
        waiting = list(found)
        while waiting:
            for scope in self._direct.get(waiting.pop(0), ()):
                if scope not in found:
                    found[scope] = None
                    waiting.append(scope)
        return tuple(found)

    def shortest(self, scopes: Iterable[str]) -> tuple[str, ...]:
        """Return the scopes without those that another one of them includes."""
        given = tuple(dict.fromkeys(scopes))
        return tuple(one for one in given if not any(self._is_below(one, other) for other in given))

    def _is_below(self, one: str, other: str) -> bool:
        return one != other and one in self.including((other,)) and other not in self.including((one,))


def with_hierarchy(guarded: GuardedResource, hierarchy: ScopeHierarchy) -> GuardedResource:
    """Return the resource, with sessions that also have the included scopes."""
    if not hierarchy:
        return guarded
    inclusion = Inclusion(hierarchy)

    async def verify(access_token: str, *, resource: str | None = None) -> McpSession:
        session = await guarded.verify(access_token, resource=resource)
        return replace(session, scopes=inclusion.including(session.scopes))

    offered = guarded.offered_scopes
    return replace(
        guarded,
        verify=verify,
        offered_scopes=None if offered is None else frozenset(inclusion.including(offered)),
    )
