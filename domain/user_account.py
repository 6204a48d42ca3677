"""A user account. Its events hold only an id that this server made. Personal data are in private records."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal


class AccountOpened(Struct, frozen=True, kw_only=True, array_like=True, tag="user.opened.v1"):
    """An account was opened. E-mail address and password hash are private records."""

    user_id: str
    opened_at: int


class AccountDisabled(Struct, frozen=True, kw_only=True, array_like=True, tag="user.disabled.v1"):
    """An operator disabled the user, which refuses every grant and browser session."""

    disabled_at: int


class AccountEnabled(Struct, frozen=True, kw_only=True, array_like=True, tag="user.enabled.v1"):
    """An operator enabled the user again, with the grants and sessions that are still valid."""

    enabled_at: int


class PasswordErased(Struct, frozen=True, kw_only=True, array_like=True, tag="user.password_erased.v1"):
    """The password was erased. The user cannot sign in until an operator sets a new one."""

    erased_at: int


class PasswordChanged(Struct, frozen=True, kw_only=True, array_like=True, tag="user.password_changed.v1"):
    """The user or an operator set a new password."""

    changed_at: int


class NameChanged(Struct, frozen=True, kw_only=True, array_like=True, tag="user.name_changed.v1"):
    """An operator changed or erased the name that apps get with the scope `profile`."""

    changed_at: int


class SessionsEnded(Struct, frozen=True, kw_only=True, array_like=True, tag="user.sessions_ended.v1"):
    """Every browser session of an earlier epoch ended, including a sign-in in progress."""

    session_epoch: int
    ended_at: int


class SignInsFailed(Struct, frozen=True, kw_only=True, array_like=True, tag="user.sign_ins_failed.v1"):
    """Sign-ins of this user failed, `failures` times from `since` on, in one server process.

    At most one event in an hour. The log of the server has a line for each failed sign-in.
    """

    failures: int
    since: int
    counted_at: int


class RoleGranted(Struct, frozen=True, kw_only=True, array_like=True, tag="user.role_granted.v1"):
    """An operator gave the user a role. The settings say what the role permits."""

    role: str
    granted_at: int


class RoleRevoked(Struct, frozen=True, kw_only=True, array_like=True, tag="user.role_revoked.v1"):
    """An operator took a role from the user."""

    role: str
    revoked_at: int


Event = (
    AccountOpened
    | AccountDisabled
    | AccountEnabled
    | PasswordChanged
    | PasswordErased
    | NameChanged
    | SessionsEnded
    | SignInsFailed
    | RoleGranted
    | RoleRevoked
)

FAILURES_PERIOD = 3600
"""Minimum number of seconds between two `SignInsFailed` of one account."""

MAX_ROLES = 32
"""Maximum number of roles of one user."""


class UserUnknown(Refusal):
    """No such user."""


class UserIsDisabled(Refusal):
    """An operator has disabled the user, or the account does not exist."""


class TooManyRoles(Refusal):
    """The user has 32 roles already."""


class UserAccount(Struct, frozen=True, kw_only=True, array_like=True):
    user_id: str
    opened_at: int
    disabled: bool = False
    session_epoch: int = 0
    """Browser sessions of an earlier epoch have ended."""

    failures_due: int = 0
    """When failed sign-ins may be recorded again."""

    roles: tuple[str, ...] = ()
    """In alphabetical order. Some of them may have been removed from the settings since."""

    def check_usable(self) -> None:
        """Raise `UserIsDisabled` unless the user may act."""
        if self.disabled:
            raise UserIsDisabled(self.user_id)

    def disable(self, *, now: int) -> tuple[Event, ...]:
        """Refuse the user with every grant and browser session from now on."""
        return () if self.disabled else (AccountDisabled(disabled_at=now),)

    def enable(self, *, now: int) -> tuple[Event, ...]:
        """Accept a disabled user again, with the grants and browser sessions that are still valid."""
        return (AccountEnabled(enabled_at=now),) if self.disabled else ()

    def end_sessions(self, *, now: int) -> tuple[Event, ...]:
        """End every browser session, including a sign-in in progress."""
        return (SessionsEnded(session_epoch=self.session_epoch + 1, ended_at=now),)

    def change_password(self, *, now: int) -> tuple[Event, ...]:
        """Record a new password and end every browser session."""
        return (PasswordChanged(changed_at=now), *self.end_sessions(now=now))

    def erase_password(self, *, now: int) -> tuple[Event, ...]:
        """Record that the password is erased and end every browser session."""
        return (PasswordErased(erased_at=now), *self.end_sessions(now=now))

    def change_name(self, *, now: int) -> tuple[Event, ...]:
        """Record that the name was changed or erased."""
        return (NameChanged(changed_at=now),)

    def count_failures(self, failures: int, *, since: int, now: int) -> tuple[Event, ...]:
        """Record failed sign-ins, unless some were recorded less than an hour ago."""
        if now < self.failures_due:
            return ()
        return (SignInsFailed(failures=failures, since=since, counted_at=now),)

    def grant_role(self, role: str, *, now: int) -> tuple[Event, ...]:
        """Give the user the role. Raises `TooManyRoles`."""
        if role in self.roles:
            return ()
        if len(self.roles) >= MAX_ROLES:
            raise TooManyRoles(f"the user has {MAX_ROLES} roles already")
        return (RoleGranted(role=role, granted_at=now),)

    def revoke_role(self, role: str, *, now: int) -> tuple[Event, ...]:
        """Take the role from the user."""
        return (RoleRevoked(role=role, revoked_at=now),) if role in self.roles else ()


def evolve(account: UserAccount | None, event: Event) -> UserAccount:
    match event:
        case AccountOpened():
            return UserAccount(user_id=event.user_id, opened_at=event.opened_at)
        case AccountDisabled():
            assert account is not None
            return replace(account, disabled=True)
        case AccountEnabled():
            assert account is not None
            return replace(account, disabled=False)
        case PasswordChanged() | PasswordErased() | NameChanged():
            assert account is not None
            return account
        case SessionsEnded():
            assert account is not None
            return replace(account, session_epoch=event.session_epoch)
        case SignInsFailed():
            assert account is not None
            return replace(account, failures_due=event.counted_at + FAILURES_PERIOD)
        case RoleGranted():
            assert account is not None
            return replace(account, roles=tuple(sorted((*account.roles, event.role))))
        case RoleRevoked():
            assert account is not None
            return replace(account, roles=tuple(role for role in account.roles if role != event.role))
        case _:
            assert_never(event)


USER: Kind[UserAccount] = Kind(
    category="user",
    state=UserAccount,
    events=(
        AccountOpened,
        AccountDisabled,
        AccountEnabled,
        PasswordChanged,
        PasswordErased,
        NameChanged,
        SessionsEnded,
        SignInsFailed,
        RoleGranted,
        RoleRevoked,
    ),
    evolve=evolve,
)
