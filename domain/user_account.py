"""A user of the built-in identity. Who that is in the world stays outside the ledger."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal


class AccountOpened(Struct, frozen=True, kw_only=True, tag="user.opened.v1"):
    user_id: str
    opened_at: int


class AccountDisabled(Struct, frozen=True, kw_only=True, tag="user.disabled.v1"):
    disabled_at: int


Event = AccountOpened | AccountDisabled


class UserUnknown(Refusal):
    """No such user."""


class UserIsDisabled(Refusal):
    """An operator has disabled the user, or the user is gone."""


class UserAccount(Struct, frozen=True, kw_only=True):
    user_id: str
    opened_at: int
    disabled: bool = False

    def check_usable(self) -> None:
        """Raise `UserIsDisabled` unless the user may act."""
        if self.disabled:
            raise UserIsDisabled(self.user_id)

    def disable(self, *, now: int) -> tuple[Event, ...]:
        """Refuse the user from now on, with every grant and browser session."""
        return () if self.disabled else (AccountDisabled(disabled_at=now),)


def evolve(account: UserAccount | None, event: Event) -> UserAccount:
    match event:
        case AccountOpened():
            return UserAccount(user_id=event.user_id, opened_at=event.opened_at)
        case AccountDisabled():
            assert account is not None
            return replace(account, disabled=True)
        case _:
            assert_never(event)


USER: Kind[UserAccount] = Kind(
    category="user", state=UserAccount, events=(AccountOpened, AccountDisabled), evolve=evolve
)
