"""Roles: the settings say what each role permits, and an operator grants roles to users."""

import re
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from grantledger.domain.refusal import Refusal
from grantledger.domain.scope import ScopeInvalid

_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_PERMISSION = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,100}")

_MOST_KEPT = 1_024
"""Maximum number of different sets of roles for which the result is cached."""


class RoleUnknown(Refusal):
    """The settings have no role of that name."""


class RolesAllowNoScope(ScopeInvalid):
    """Each of the scopes needs a role that the user does not have."""


class Role(Struct, frozen=True, kw_only=True):
    """A role of the settings: the permissions of its users, and the scopes that they may grant to clients."""

    name: str
    permissions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


class HeldRoles(Struct, frozen=True, kw_only=True):
    """What the roles of one user mean under the present settings.

    `names` leaves out roles that the settings do not have. `withheld` are the scopes that only other roles
    may grant.
    """

    names: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    withheld: frozenset[str] = frozenset()

    def allowed(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the scopes that the user may grant."""
        if self.withheld.isdisjoint(scopes):
            return scopes
        return tuple(scope for scope in scopes if scope not in self.withheld)

    def left_of(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the scopes that the user may grant. Raises `RolesAllowNoScope` if none is left."""
        left = self.allowed(scopes)
        if scopes and not left:
            raise RolesAllowNoScope("the user has no role that may grant any of the scopes")
        return left


class Roles:
    """The roles of the settings.

    If roles list a scope, only users with one of these roles may grant it to clients. Every user may grant
    the other scopes.
    """

    def __init__(self, roles: Iterable[Role] = ()) -> None:
        self._roles = {role.name: role for role in roles}
        self.scopes = frozenset(scope for role in self._roles.values() for scope in role.scopes)
        """The scopes that need a role."""
        # Every request with a token needs this, and few users differ in their roles.
        self.held = lru_cache(_MOST_KEPT)(self._held)
        """Return what the roles of a user mean. Takes the names of the roles."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roles) and other._roles == self._roles

    def __hash__(self) -> int:
        return hash(tuple(self._roles.values()))

    def check_known(self, name: str) -> None:
        """Raise `RoleUnknown` unless the settings have the role."""
        if name not in self._roles:
            known = f"they have {', '.join(sorted(self._roles))}" if self._roles else "they have no roles"
            raise RoleUnknown(f"there is no role {name!r} in the settings; {known}")

    def _held(self, names: tuple[str, ...]) -> HeldRoles:
        roles = [self._roles[name] for name in sorted(names) if name in self._roles]
        allowed = {scope for role in roles for scope in role.scopes}
        return HeldRoles(
            names=tuple(role.name for role in roles),
            permissions=tuple(sorted({permission for role in roles for permission in role.permissions})),
            withheld=self.scopes - allowed,
        )


def checked_role(name: str) -> str:
    """Return the name of a role as it is, or raise a ValueError with the reason."""
    if not _ROLE.fullmatch(name):
        raise ValueError(
            f"role {name!r} must be up to 64 of A-Z, a-z, 0-9, ._:-, the first a letter or digit"
        )
    return name


def checked_permission(permission: str) -> str:
    """Return the permission as it is, or raise a ValueError with the reason."""
    if not _PERMISSION.fullmatch(permission):
        raise ValueError(
            f"permission {permission!r} must be up to 100 ASCII characters without space, quote and backslash"
        )
    return permission
