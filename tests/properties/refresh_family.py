"""The life of token grants, against a model that knows the refresh table and nothing else.

The model keeps every token that was ever shown, in lists, forgets nothing and folds no events. What it runs
against is a parameter: grants as the domain decides them, or the use cases over any ledger.
"""

from collections.abc import Hashable
from typing import Protocol

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from msgspec import Struct

from grantledger.domain.client_registration import ClientIsDisabled, ClientUnknown
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import (
    GrantHasExpired,
    GrantIsRevoked,
    RefreshTokenAlreadyUsed,
    RetryAsksForSomethingElse,
    TokenBelongsToAnotherClient,
)
from grantledger.domain.user_account import UserIsDisabled
from properties.profiles import Machine

START = 1_800_000_000
SCOPES = ("openid", "profile", "email")
LATE = 6

PAUSES = st.just(0) | st.sampled_from([1, 9, 10, 11, 59, 60, 61])
ASKED = st.sampled_from([None, SCOPES, ("openid",)])

OUTCOMES: dict[type[Refusal], str] = {
    RefreshTokenAlreadyUsed: "reuse",
    RetryAsksForSomethingElse: "something else",
    GrantIsRevoked: "dead",
    GrantHasExpired: "dead",
    ClientIsDisabled: "dead",
    ClientUnknown: "dead",
    TokenBelongsToAnotherClient: "dead",
    UserIsDisabled: "dead",
}


class Settings(Struct, frozen=True):
    """In seconds; `limit` is the absolute one of a grant."""

    window: int
    access: int
    refresh: int
    limit: int | None


class Pair(Struct, frozen=True):
    """A token response. The tokens are whatever the system under test takes for them."""

    access: Hashable
    refresh: Hashable
    scopes: tuple[str, ...]
    expires_in: int


class GrantsUnderTest(Protocol):
    """What the machine drives. Refusals are raised; a reuse as `RefreshTokenAlreadyUsed`."""

    has_clients_and_users: bool

    def advance(self, seconds: int) -> None: ...

    def open(self) -> tuple[str, Pair]:
        """Open a grant of all `SCOPES` and return a name for it."""
        ...

    def refresh(self, grant: str, refresh_token: Hashable, scopes: tuple[str, ...] | None) -> Pair: ...

    def accepted(self, grant: str, access_tokens: list[Hashable]) -> list[tuple[str, ...] | None]:
        """Return for each access token the scopes that it is good for now, None when it is refused."""
        ...

    def revoke_access(self, grant: str, access_token: Hashable) -> None: ...

    def revoke(self, grant: str, refresh_token: Hashable) -> None: ...

    def disable_client(self) -> None: ...

    def delete_client_and_register_it_anew(self) -> None: ...

    def disable_user(self) -> None: ...

    def close(self) -> None: ...


class Issued(Struct):
    pair: Pair
    access_until: int
    refresh_until: int
    used_at: int | None = None
    access_revoked: bool = False


class Family(Struct):
    """All pairs that one grant gave, oldest first."""

    registration: int
    limit: int | None
    issued: list[Issued]
    seen: int = 0
    """The latest moment at which a token was used: a clock that was set back does not undo it."""
    revoked: bool = False

    @property
    def newest(self) -> Issued:
        return self.issued[-1]

    def ago(self, generations: int) -> int:
        return max(0, len(self.issued) - 1 - generations)

    def has_ended(self, now: int) -> bool:
        return self.revoked or (self.limit is not None and now >= self.limit)

    def ends(self, index: int, *, window: int) -> list[int | None]:
        """Return when the retries of a pair, its tokens and the grant end."""
        issued = self.issued[index]
        retries = None if issued.used_at is None else issued.used_at + window
        return [retries, issued.access_until, issued.refresh_until, self.limit]

    def verdict(self, index: int, scopes: tuple[str, ...], *, now: int, window: int) -> str:
        """Return what becomes of a refresh, by the table."""
        if self.has_ended(now) or now >= self.newest.refresh_until:
            return "dead"
        used_at = self.issued[index].used_at
        if used_at is None:
            return "next"
        if max(now, self.seen) >= used_at + window:
            return "reuse"
        return "again" if scopes == self.newest.pair.scopes else "something else"


class RefreshFamily(Machine):
    grants = Bundle("grants")

    system: GrantsUnderTest

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.families: dict[str, Family] = {}
        self.registration = 1
        self.client_disabled = self.user_disabled = False

    @property
    def is_late(self) -> bool:
        """Whether enough has happened for something that ends it."""
        return sum(len(family.issued) for family in self.families.values()) > LATE

    @initialize(
        target=grants,
        settings=st.builds(
            Settings,
            window=st.sampled_from([60, 0, 1, 10, 300]),
            access=st.sampled_from([3_600, 60]),
            refresh=st.sampled_from([604_800, 1_000]),
            limit=st.sampled_from([None, 3_000]),
        ),
    )
    def starts(self, settings):
        self.settings = settings
        self.system = self.system_for(settings)
        return multiple(self.opens(), self.opens())

    @precondition(lambda self: not (self.client_disabled or self.user_disabled))
    @rule(target=grants)
    def opens(self):
        grant, pair = self.system.open()
        assert pair.scopes == SCOPES
        limit = None if self.settings.limit is None else self.now + self.settings.limit
        self.families[grant] = Family(self.registration, limit, issued=[])
        self._issued(self.families[grant], pair)
        return grant

    @rule(seconds=st.sampled_from([1, 60, 299, 300, 301]))
    def time_passes(self, seconds):
        self.now += seconds
        self.system.advance(seconds)

    @rule(grant=grants, ago=st.integers(0, 3), edge=st.integers(0, 3), early=st.sampled_from([0, 1]))
    def time_passes_until_something_ends(self, grant, ago, edge, early):
        family = self.families[grant]
        end = family.ends(family.ago(ago), window=self.settings.window)[edge]
        if end is not None:
            self.time_passes(max(0, end - early - self.now))

    @rule(seconds=st.sampled_from([1, 10, 60, 400]))
    def the_clock_is_set_back(self, seconds):
        self.now -= seconds
        self.system.advance(-seconds)

    @rule(
        grant=grants,
        pauses=st.lists(PAUSES, min_size=1, max_size=5),
        scopes=ASKED,
    )
    def refreshes_again_and_again(self, grant, pauses, scopes):
        for pause in pauses:
            self.refreshes(grant, pause, 0, scopes)

    @rule(grant=grants, pause=PAUSES, ago=st.integers(0, 5), scopes=ASKED)
    def refreshes(self, grant, pause, ago, scopes):
        self.time_passes(pause)
        family = self.families[grant]
        presented = family.ago(ago)
        expected = family.verdict(presented, scopes or SCOPES, now=self.now, window=self.settings.window)
        if self._is_gone(family):
            expected = "dead"
        try:
            pair = self.system.refresh(grant, family.issued[presented].pair.refresh, scopes)
        except tuple(OUTCOMES) as refusal:
            outcome = OUTCOMES[type(refusal)]
        else:
            outcome = "again" if pair.refresh == family.newest.pair.refresh else "next"
            self._answered(family, pair, outcome, scopes or SCOPES)
        event(outcome)
        assert outcome == expected
        if outcome == "reuse":
            family.revoked = True

    @rule(grant=grants, ago=st.integers(0, 2))
    def revokes_an_access_token(self, grant, ago):
        family = self.families[grant]
        presented = family.ago(ago)
        if self._is_gone(family, disabled_counts=False):
            with pytest.raises(TokenBelongsToAnotherClient):
                self.system.revoke_access(grant, family.issued[presented].pair.access)
            return
        self.system.revoke_access(grant, family.issued[presented].pair.access)
        for issued in family.issued[: presented + 1]:
            issued.access_revoked = True

    @precondition(lambda self: self.is_late)
    @rule(grant=grants, ago=st.integers(0, 2))
    def revokes_a_refresh_token(self, grant, ago):
        family = self.families[grant]
        presented = family.issued[family.ago(ago)].pair.refresh
        if self._is_gone(family, disabled_counts=False):
            with pytest.raises(TokenBelongsToAnotherClient):
                self.system.revoke(grant, presented)
            return
        self.system.revoke(grant, presented)
        family.revoked = True

    @precondition(lambda self: self.is_late and self.system.has_clients_and_users)
    @rule()
    def the_client_is_disabled(self):
        self.system.disable_client()
        self.client_disabled = True

    @precondition(lambda self: self.is_late and self.system.has_clients_and_users)
    @rule()
    def the_client_is_deleted_and_registers_anew(self):
        self.system.delete_client_and_register_it_anew()
        self.registration += 1
        self.client_disabled = False

    @precondition(lambda self: self.is_late and self.system.has_clients_and_users)
    @rule()
    def the_user_is_disabled(self):
        self.system.disable_user()
        self.user_disabled = True

    @invariant()
    def an_access_token_is_good_for_just_what_it_was_issued_for(self):
        for grant, family in self.families.items():
            accepted = self.system.accepted(grant, [issued.pair.access for issued in family.issued])
            assert accepted == [self._good_for(family, issued) for issued in family.issued]

    def _good_for(self, family, issued):
        dead = self._is_gone(family) or family.has_ended(self.now)
        return (
            None if dead or issued.access_revoked or self.now >= issued.access_until else issued.pair.scopes
        )

    def _is_gone(self, family, *, disabled_counts=True):
        """Whether the client or the user of the grant is not there any more."""
        disabled = disabled_counts and (self.client_disabled or self.user_disabled)
        return disabled or family.registration != self.registration

    def _answered(self, family, pair, outcome, scopes):
        if outcome == "again":
            newest = family.newest
            assert (pair.access, pair.scopes) == (newest.pair.access, newest.pair.scopes)
        else:
            shown = {token for issued in family.issued for token in (issued.pair.access, issued.pair.refresh)}
            assert not {pair.access, pair.refresh} & shown
            assert pair.scopes == scopes
            family.seen = max(self.now, family.seen)
            family.newest.used_at = family.seen
            self._issued(family, pair)
        assert pair.expires_in == max(0, family.newest.access_until - self.now)

    def _issued(self, family, pair):
        access_until, refresh_until = self.now + self.settings.access, self.now + self.settings.refresh
        if family.limit is not None:
            access_until, refresh_until = min(access_until, family.limit), min(refresh_until, family.limit)
        family.issued.append(Issued(pair, access_until, refresh_until))
