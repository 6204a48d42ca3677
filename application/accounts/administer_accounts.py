"""What an operator decides about an account."""

from grantledger.application.accounts.password_rules import PasswordRules
from grantledger.application.connected_apps.disconnect_app import DisconnectEveryApp
from grantledger.application.decide import decide
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, PasswordHasher, PrivateRecord, PrivateRecords
from grantledger.application.provenance import Caller, by_operator
from grantledger.domain.person_name import checked_name
from grantledger.domain.user_account import USER, Event, UserAccount, UserUnknown


class DisableUser:
    """Refuse a user's browser sessions and grants until an operator enables the account again."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.disable(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
        )


class EnableUser:
    """Accept a disabled user again, with the grants and browser sessions that have not expired."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, caller: Caller) -> None:
        """Raises `UserUnknown`."""
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.enable(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
        )


class SetPassword:
    """Give a user a new password without knowing the current one, and end all access from before.

    This lets an operator give the account to another person: no earlier user of it keeps access.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        private: PrivateRecords,
        hasher: PasswordHasher,
        rules: PasswordRules,
        clock: Clock,
        disconnect_every: DisconnectEveryApp,
    ) -> None:
        self._ledger = ledger
        self._private = private
        self._hasher = hasher
        self._rules = rules
        self._clock = clock
        self._disconnect_every = disconnect_every

    async def __call__(self, user_id: str, password: str, caller: Caller, *, keep_apps: bool = False) -> None:
        """End every browser session and, unless `keep_apps`, disconnect every app.

        Sessions end first, so that none of them connects an app again. In an outage between the two, the
        password is set and `Unavailable` is raised: a second call finishes.
        Raises `UserUnknown` and the refusals of `PasswordRules`.
        """
        await self._rules.check(password, await self._private.value(user_id, "email"))
        password_hash = await self._hasher.hash(password)
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.change_password(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
            private=[PrivateRecord(subject=user_id, name="password_hash", value=password_hash)],
        )
        if not keep_apps:
            await self._disconnect_every.as_operator(user_id, caller)


class ErasePassword:
    """Erase a user's password and end all access from before. The account stays.

    To sign in again, the user needs a new password from an operator.
    """

    def __init__(self, ledger: Ledger, clock: Clock, disconnect_every: DisconnectEveryApp) -> None:
        self._ledger = ledger
        self._clock = clock
        self._disconnect_every = disconnect_every

    async def __call__(self, user_id: str, caller: Caller, *, keep_apps: bool = False) -> None:
        """End every browser session and, unless `keep_apps`, disconnect every app, as `SetPassword` does.

        Raises `UserUnknown`.
        """
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.erase_password(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
            private=[PrivateRecord(subject=user_id, name="password_hash", value=None)],
        )
        if not keep_apps:
            await self._disconnect_every.as_operator(user_id, caller)


class SetName:
    """Change or erase a user's name, which may be that of another person who signed up with the address."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, user_id: str, name: str, caller: Caller) -> None:
        """An empty name erases it. Raises `UserUnknown` and `NameInvalid`."""
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.change_name(now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
            private=[PrivateRecord(subject=user_id, name="name", value=checked_name(name))],
        )


class GrantRole:
    """Give a user a role of the settings."""

    def __init__(self, ledger: Ledger, clock: Clock, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._clock = clock
        self._roles = policy.roles

    async def __call__(self, user_id: str, role: str, caller: Caller) -> None:
        """Raises `UserUnknown`, `RoleUnknown` and `TooManyRoles`."""
        self._roles.check_known(role)
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: user.grant_role(role, now=self._clock.now()),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
        )


class RevokeRole:
    """Take a role from a user.

    The next request is without the role. Only a JWT that is verified offline keeps it until the JWT expires
    (ADR 0070).
    """

    def __init__(self, ledger: Ledger, clock: Clock, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._clock = clock
        self._roles = policy.roles

    async def __call__(self, user_id: str, role: str, caller: Caller) -> None:
        """Raises `UserUnknown`, and `RoleUnknown` if neither the user nor the settings have the role."""
        await decide(
            self._ledger,
            USER,
            user_id,
            lambda user: self._revoked(user, role),
            unknown=UserUnknown(user_id),
            by=by_operator(caller),
        )

    def _revoked(self, user: UserAccount, role: str) -> tuple[Event, ...]:
        if role not in user.roles:
            self._roles.check_known(role)
        return user.revoke_role(role, now=self._clock.now())
