"""`@requires`: what a session needs for a tool. Also functions that check the session inside a tool."""

import functools
import inspect
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from msgspec import Struct

from grantledger.adapters.guards.challenge import challenge
from grantledger.adapters.guards.check import names
from grantledger.adapters.guards.session import current_session
from grantledger.adapters.guards.step_up import AccessRefused, refused_result
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.scope import checked_token

Check = Callable[[McpSession], object]
"""A function of the session, without `async`: the call is allowed if its result is true."""

F = TypeVar("F", bound=Callable[..., Any])

_DECLARED = "__grantledger_requires__"

_CHECKED = "__grantledger_checks__"
"""What calling the function checks. A function without this attribute checks nothing."""

_WRONG_ORDER = "write @requires below the decorator that makes the tool, or nothing checks it"

_log = logging.getLogger(__name__)


class Requirement(Struct, frozen=True, kw_only=True):
    """Everything that a session needs: all scopes, all roles, all permissions, and every check passed."""

    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    def joined(self, other: "Requirement | None") -> "Requirement":
        """Return one requirement that demands what both demand."""
        if other is None:
            return self
        return Requirement(
            scopes=_union(self.scopes, other.scopes),
            roles=_union(self.roles, other.roles),
            permissions=_union(self.permissions, other.permissions),
            checks=(*self.checks, *other.checks),
        )

    def verify(self, session: McpSession | None) -> None:
        """Raise `AccessRefused` if the session does not meet the requirement.

        Roles, permissions and checks come first. If one of them fails, more scopes would not help, and the
        client does not learn which scopes a tool needs.
        """
        if session is None:
            raise AccessRefused(self.scopes, session=None)
        allowed = (
            set(self.roles).issubset(session.roles)
            and set(self.permissions).issubset(session.permissions)
            and all(_passes(check, session) for check in self.checks)
        )
        if not allowed:
            raise AccessRefused(session=session)
        missing = tuple(scope for scope in self.scopes if scope not in session.scopes)
        if missing:
            raise AccessRefused(missing, session=session)

    def __call__(self, function: F) -> F:
        """Return the function with this check in front of it.

        Raises `TypeError` if it is no function, or if FastMCP has registered it already.
        """
        if not callable(function):
            raise TypeError(_WRONG_ORDER)
        if hasattr(function, _REGISTERED_IN_FASTMCP):
            raise TypeError(_WRONG_ORDER)
        requirement = self.joined(_declared(function))
        decorated: Any = (
            self._async(function) if inspect.iscoroutinefunction(function) else self._sync(function)
        )
        setattr(decorated, _DECLARED, requirement)
        setattr(decorated, _CHECKED, requirement)
        # On the plain function as well, so that a guard notices if the server has registered that one.
        with suppress(AttributeError):  # a bound method accepts no attributes
            setattr(function, _DECLARED, requirement)
        Declared.any = True
        return decorated  # type: ignore[no-any-return]

    def _sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                self.verify(current_session())
                return function(*args, **kwargs)
            except AccessRefused as refused:
                return refused_result(refused, current_session())

        return checked

    def _async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                self.verify(current_session())
                return await function(*args, **kwargs)
            except AccessRefused as refused:
                return refused_result(refused, current_session())

        return checked


FORBIDDEN = Requirement(checks=(lambda _: False,))
"""A requirement that no session meets."""


class Declared:
    """Whether this process has a function with `@requires`: without one, no guard has to look for any."""

    any = False


def requires(
    *scopes: str,
    roles: str | Iterable[str] = (),
    permissions: str | Iterable[str] = (),
    check: Check | None = None,
) -> Requirement:
    """Return a decorator for tools, resources and prompts, and a value for `with_mcp_auth(rules=...)`.

    A call needs all `scopes`, all `roles`, all `permissions`, and a true result of `check(session)`. A check
    that raises refuses the call. A check may run more than once for one call. Write `@requires` below the
    decorator that makes the tool, so that the server gets the function with the check:

        @server.tool()
        @requires("todo:write")
        def add_todo(text: str) -> str: ...

    Behind a guard that finds the tool, a refused call never reaches the tool. Otherwise the tool answers with
    an error result. Raises `ValueError` for a scope that a challenge cannot hold, and for an async `check`.
    Raises `TypeError` for a scope that is no string.
    """
    for scope in scopes:
        if not isinstance(scope, str):
            raise TypeError(f'write @requires("todo:write", "todo:read"): {scope!r:.100} is no scope')
        challenge(None, scopes=(checked_token(scope),))
    if check is not None and inspect.iscoroutinefunction(check):
        raise ValueError("check must be a function without async: it is called from sync tools too")
    return Requirement(
        scopes=_union(scopes),
        roles=names(roles),
        permissions=names(permissions),
        checks=() if check is None else (check,),
    )


class Unchecked(Exception):  # noqa: N818 - the fact
    """A server has registered the plain function below `@requires`, so calling it checks nothing."""

    def __init__(self) -> None:
        super().__init__(_WRONG_ORDER)


def declared_requirement(function: object) -> Requirement | None:
    """Return what `@requires` declared for a function that a framework has wrapped, None without it.

    Raises `Unchecked` if calling the function would not check that requirement.
    """
    seen = 0
    while function is not None and seen < _MAX_WRAPPERS:
        found = _declared(function)
        if found is not None:
            if getattr(function, _CHECKED, None) is not found:
                raise Unchecked
            return found
        inner = (getattr(function, name, None) for name in _WRAPPED)
        function = next((one for one in inner if one is not None), None)
        seen += 1
    return None


_WRAPPED = ("fn", "__wrapped__", "raw_function", "func", "__func__")
"""Attributes in which wrappers keep their function: tools, `functools.wraps`, pydantic, partials, methods."""

_MAX_WRAPPERS = 20

_REGISTERED_IN_FASTMCP = "__fastmcp__"
"""What FastMCP's decorators add to a function. Those of the `mcp` SDK add nothing."""


def has_scope(*scopes: str, session: McpSession | None = None) -> bool:
    """Whether the session has all of these scopes. None means the session of the current request."""
    given = session or current_session()
    return given is not None and set(scopes).issubset(given.scopes)


def has_any_scope(*scopes: str, session: McpSession | None = None) -> bool:
    """Whether the session has one of these scopes. None means the session of the current request."""
    given = session or current_session()
    return given is not None and not set(scopes).isdisjoint(given.scopes)


def require_scope(*scopes: str) -> None:
    """Raise `AccessRefused` unless the current session has all of these scopes.

    In a tool with `@requires()` the client gets the error result; elsewhere catch the exception.
    """
    Requirement(scopes=scopes).verify(current_session())


def require_role(*roles: str) -> None:
    """Raise `AccessRefused` unless the user has all of these roles, as `require_scope` does."""
    Requirement(roles=roles).verify(current_session())


def require_permission(*permissions: str) -> None:
    """Raise `AccessRefused` unless the user has all of these permissions, as `require_scope` does."""
    Requirement(permissions=permissions).verify(current_session())


def _passes(check: Check, session: McpSession) -> bool:
    try:
        answer = check(session)
    except Exception:  # noqa: BLE001 - what cannot be decided is refused
        _log.exception("a check of @requires failed, so the call is refused")
        return False
    if inspect.isawaitable(answer):  # it would count as true for every session
        _log.error("a check of @requires returned an awaitable, so the call is refused")
        return False
    return bool(answer)


def _declared(function: object) -> Requirement | None:
    found = getattr(function, _DECLARED, None)
    return found if isinstance(found, Requirement) else None


def _union(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))
