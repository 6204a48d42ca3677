"""The life of token grants, against a model of the refresh table.

The model keeps every token that was ever shown, in lists, and folds no events. Refusals are compared by the
error code that a client gets.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, multiple, precondition, rule
from msgspec import Struct

from properties.profiles import Machine, System

START = 1_800_000_000
SCOPES = ("openid", "profile", "email")
NOT_GRANTED = ("openid", "offline_access")
UNKNOWN = ("unheard-of",)
LATE = 20
IN_ONE_LOOK = 12
"""How many access tokens are checked after each step. All get their turn."""


class Settings(Struct, frozen=True):
    """Lifetimes in seconds. `limit` is the absolute lifetime of a grant."""

    window: int
    access: int
    refresh: int
    limit: int | None


SETTINGS = (
    Settings(window=60, access=3_600, refresh=604_800, limit=None),
    Settings(window=0, access=3_600, refresh=604_800, limit=3_000),
    Settings(window=10, access=60, refresh=1_000, limit=3_000),
    Settings(window=300, access=3_600, refresh=1_000, limit=None),
)


class Asked(Struct, frozen=True):
    """The parameters of a refresh; `same_resource` is whether it names the granted resource or another."""

    scopes: tuple[str, ...] | None = None
    same_resource: bool | None = None

    @property
    def refusal(self) -> str | None:
        """The error code of a refresh that asks for what the grant does not have."""
        if self.same_resource is False:
            return "invalid_target"
        return "invalid_scope" if self.scopes in (NOT_GRANTED, UNKNOWN) else None


ENDS = (
    "the grant",
    "the grant",
    "the client registers again",
    "the client is disabled",
    "the user is disabled",
)
TIMES = st.sampled_from([1, 1, 1, 3])
PAUSES = st.just(0) | st.sampled_from([1, 9, 10, 11, 59, 60, 61])
ASKED = st.builds(
    Asked,
    scopes=st.sampled_from([None, None, SCOPES, ("openid",), ("openid", "email"), NOT_GRANTED, UNKNOWN]),
    same_resource=st.sampled_from([None, None, True, False]),
)


class Pair(Struct, frozen=True):
    """A token response. The type of the tokens depends on the system under test."""

    access: Hashable
    refresh: Hashable
    scopes: tuple[str, ...]
    expires_in: int


class Good(Struct, frozen=True):
    """The scopes that an access token gives, and its expiry."""

    scopes: tuple[str, ...]
    until: int


class GrantsUnderTest(System, Protocol):
    """What the machine drives."""

    def open(self, *, refreshes: bool = True) -> tuple[str, Pair]:
        """Open a grant of all `SCOPES`, for a client that refreshes or another, and return a name for it."""
        ...

    def refresh(
        self, grant: str, token: Hashable, asked: Asked, *, times: int = 1, thief: bool = False
    ) -> list[Pair | str]:
        """Present the token `times` times at once. Return for each the tokens, or the error code."""
        ...

    def damaged(self, refresh_token: Hashable) -> Hashable:
        """Return the token with a character changed."""
        ...

    def good_for(self, tokens: Sequence[tuple[str, Hashable]]) -> list[Good | None]:
        """Return what each access token gives access to now, or None for one that is refused."""
        ...

    def revoke(self, grant: str, token: Hashable) -> str | None:
        """Revoke a refresh or access token; return the error code of a refusal."""
        ...


class Issued(Struct):
    pair: Pair
    access_until: int
    refresh_until: int
    used_at: int | None = None
    access_revoked: bool = False


class Family(Struct):
    """All pairs of one grant, oldest first. `registration` is None if nothing ever happens to the client."""

    registration: int | None
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

    def verdict(self, index: int, asked: Asked, *, now: int, window: int) -> str:
        """Return what becomes of a refresh, by the table: next, again, reuse or an error code."""
        if self.has_ended(now) or now >= self.newest.refresh_until:
            return "invalid_grant"
        used_at = self.issued[index].used_at
        if used_at is not None and max(now, self.seen) >= used_at + window:
            return "reuse"
        if asked.refusal is not None:
            return asked.refusal
        if used_at is None:
            return "next"
        same = (asked.scopes or SCOPES) == self.newest.pair.scopes
        return "again" if same else "invalid_grant"


class RefreshFamily(Machine):
    grants = Bundle("grants")

    system: GrantsUnderTest

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.families: dict[str, Family] = {}
        self.registration = 1
        self.client_disabled = self.user_disabled = False
        self.reuses = self.looks = 0

    @property
    def is_late(self) -> bool:
        """Whether enough has happened that a step may disable or delete something."""
        return sum(len(family.issued) for family in self.families.values()) > LATE

    @initialize(target=grants, settings=st.sampled_from(SETTINGS))
    def starts(self, settings):
        self.settings = settings
        self.system = self.system_for(settings)
        return multiple(self.opens(), self.opens())

    @precondition(lambda self: not (self.client_disabled or self.user_disabled))
    @rule(target=grants)
    def opens(self):
        return self._opens(refreshes=True)

    @precondition(lambda self: not self.user_disabled)
    @rule()
    def opens_for_a_client_that_does_not_refresh(self):
        grant = self._opens(refreshes=False)
        assert self.families[grant].newest.pair.refresh is None

    @rule(seconds=st.sampled_from([1, 60, 299, 300, 301]))
    def time_passes(self, seconds):
        self.now += seconds
        self.system.advance(seconds)

    @rule(
        grant=grants,
        ago=st.integers(0, 3),
        edge=st.sampled_from([0, 1, 0, 1, 2, 3]),
        early=st.sampled_from([0, 1]),
    )
    def time_passes_until_something_ends(self, grant, ago, edge, early):
        family = self.families[grant]
        end = family.ends(family.ago(ago), window=self.settings.window)[edge]
        if end is not None:
            self.time_passes(max(0, end - early - self.now))

    @rule(seconds=st.sampled_from([1, 10, 60, 400]))
    def the_clock_is_set_back(self, seconds):
        self.now -= seconds
        self.system.advance(-seconds)

    @rule(grant=grants, pauses=st.lists(PAUSES, min_size=1, max_size=3), asked=ASKED)
    def refreshes_again_and_again(self, grant, pauses, asked):
        grant = self._one_that_lives(grant)
        for pause in pauses:
            self.time_passes(pause)
            self._refreshes(grant, 0, asked, 1)

    @rule(grant=grants, pause=PAUSES, ago=st.sampled_from([0, 1, 2, 5]), asked=ASKED, times=TIMES)
    def refreshes(self, grant, pause, ago, asked, times):
        self.time_passes(pause)
        self._refreshes(self._one_that_lives(grant), ago, asked, times)

    @rule(
        grant=grants,
        refreshes=st.integers(1, 3),
        ago=st.sampled_from([1, 1, 2, 3]),
        early=st.sampled_from([1, 0, 9, None]),
        asked=st.sampled_from([None, None, None, Asked(("openid",)), Asked(same_resource=False)]),
    )
    def retries(self, grant, refreshes, ago, early, asked):
        """Refresh, and present the used token again, mostly around the end of its reuse window.

        The clock may be set back before that: a window that has passed stays closed.
        """
        grant = self._one_that_lives(grant)
        family = self.families[grant]
        for _ in range(refreshes):
            self._refreshes(grant, 0, Asked(), 1)
            self.time_passes(1)
        used_at = family.issued[family.ago(ago)].used_at
        if used_at is not None and early is not None:
            self.time_passes(used_at + self.settings.window - early - self.now)
        same = Asked(family.newest.pair.scopes)
        self._refreshes(grant, ago, same if asked is None else asked, 1)

    @rule(grant=grants, ago=st.integers(0, 2), asked=ASKED)
    def refreshes_whatever_has_become_of_the_grant(self, grant, ago, asked):
        self._refreshes(grant, ago, asked, 1)

    @rule(grant=grants, ago=st.integers(0, 2), asked=ASKED)
    def another_client_presents_the_token(self, grant, ago, asked):
        family = self.families[grant]
        token = family.issued[family.ago(ago)].pair.refresh
        assert self.system.refresh(grant, token, asked, thief=True) == ["invalid_grant"]

    @rule(grant=grants, ago=st.integers(0, 2), access=st.booleans())
    def something_else_is_presented(self, grant, ago, access):
        family = self.families[grant]
        pair = family.issued[family.ago(ago)].pair
        token = pair.access if access else self.system.damaged(pair.refresh)
        assert self.system.refresh(grant, token, Asked()) == ["invalid_grant"]

    @rule(grant=grants, ago=st.integers(0, 2))
    def revokes_an_access_token(self, grant, ago):
        family = self.families[grant]
        presented = family.ago(ago)
        if self._revokes(grant, family.issued[presented].pair.access):
            for issued in family.issued[: presented + 1]:
                issued.access_revoked = True

    @precondition(lambda self: self.is_late)
    @rule(grant=grants, ago=st.integers(0, 2), end=st.sampled_from(ENDS))
    def something_ends(self, grant, ago, end):
        """The next request notices the end."""
        grant = self._one_that_lives(grant)
        match end:
            case "the grant":
                family = self.families[grant]
                if self._revokes(grant, family.issued[family.ago(ago)].pair.refresh):
                    family.revoked = True
            case "the client is disabled":
                self.system.disable_client()
                self.client_disabled = True
            case "the client registers again":
                self.system.delete_client_and_register_again()
                self.registration += 1
                self.client_disabled = False
            case "the user is disabled":
                self.system.disable_user()
                self.user_disabled = True
        self._refreshes(grant, 0, Asked(), 1)

    @invariant()
    def an_access_token_is_good_for_just_what_it_was_issued_for(self):
        self.looks += 1
        every = self._every_token()
        turns = -(-len(every) // IN_ONE_LOOK)
        self._look_at([token for n, token in enumerate(every) if n % turns == self.looks % turns])

    def ends(self):
        """The log has an event for every change that was answered, and none for a retry."""
        self._look_at(self._every_token())
        families = self.families.values()
        assert self.system.recorded("token_grant.opened.v1") == len(families)
        assert self.system.recorded("token_grant.refreshed.v1") == sum(len(f.issued) - 1 for f in families)
        assert self.system.recorded("token_grant.refresh_token_reused.v1") == self.reuses
        assert self.system.recorded("token_grant.revoked.v1") == sum(f.revoked for f in families)

    def _refreshes(self, grant, ago, asked, times):
        family = self.families[grant]
        presented = family.ago(ago)
        expected = family.verdict(presented, asked, now=self.now, window=self.settings.window)
        if self._is_gone(family):
            expected = "invalid_grant"
        event(expected)
        answers = self.system.refresh(grant, family.issued[presented].pair.refresh, asked, times=times)
        pairs = [answer for answer in answers if isinstance(answer, Pair)]
        refused = [answer for answer in answers if not isinstance(answer, Pair)]
        assert len({*pairs}) <= 1, "there is one answer for all"
        if expected == "next":
            self._rotated(family, pairs[0], asked)
            expected = "again" if self.settings.window else "reuse"
            assert len(pairs) == (times if self.settings.window else 1)
        else:
            assert len(pairs) == (times if expected == "again" else 0)
        if pairs:
            assert pairs[0] == Pair(
                access=family.newest.pair.access,
                refresh=family.newest.pair.refresh,
                scopes=family.newest.pair.scopes,
                expires_in=max(0, family.newest.access_until - self.now),
            )
        error = "invalid_grant" if expected in ("again", "reuse") else expected
        assert refused == [error] * len(refused)
        if expected == "reuse" and refused:
            family.revoked = True
            self.reuses += 1

    def _one_that_lives(self, grant):
        """Return this grant if it can be refreshed, else the newest one that can, if there is any."""
        alive = [name for name, family in self.families.items() if self._can_refresh(family)]
        return grant if grant in alive or not alive else alive[-1]

    def _can_refresh(self, family):
        dead = self._is_gone(family) or family.has_ended(self.now) or family.newest.pair.refresh is None
        return not dead and self.now < family.newest.refresh_until

    def _every_token(self):
        return [(name, family, issued) for name, family in self.families.items() for issued in family.issued]

    def _look_at(self, tokens):
        found = self.system.good_for([(name, issued.pair.access) for name, _, issued in tokens])
        assert found == [self._good_for(family, issued) for _, family, issued in tokens]

    def _good_for(self, family, issued):
        dead = self._is_gone(family) or family.has_ended(self.now)
        if dead or issued.access_revoked or self.now >= issued.access_until:
            return None
        return Good(issued.pair.scopes, issued.access_until)

    def _is_gone(self, family, *, disabled_counts=True):
        """Whether the client of the grant was deleted, or it or the user is disabled."""
        if family.registration is None:
            return disabled_counts and self.user_disabled
        disabled = disabled_counts and (self.client_disabled or self.user_disabled)
        return disabled or family.registration != self.registration

    def _revokes(self, grant, token):
        """Return whether the client could: a disabled client can still prove itself, a deleted one cannot."""
        may = not self._is_gone(self.families[grant], disabled_counts=False)
        assert self.system.revoke(grant, token) == (None if may else "invalid_grant")
        return may

    def _opens(self, *, refreshes):
        grant, pair = self.system.open(refreshes=refreshes)
        assert pair.scopes == SCOPES
        limit = None if self.settings.limit is None else self.now + self.settings.limit
        family = Family(self.registration if refreshes else None, limit, issued=[])
        self.families[grant] = family
        self._issued(family, pair)
        assert pair.expires_in == family.newest.access_until - self.now
        return grant

    def _rotated(self, family, pair, asked):
        shown = {token for issued in family.issued for token in (issued.pair.access, issued.pair.refresh)}
        assert not {pair.access, pair.refresh} & shown
        assert pair.scopes == (asked.scopes or SCOPES)
        family.seen = max(self.now, family.seen)
        family.newest.used_at = family.seen
        self._issued(family, pair)

    def _issued(self, family, pair):
        access_until, refresh_until = self.now + self.settings.access, self.now + self.settings.refresh
        if family.limit is not None:
            access_until, refresh_until = min(access_until, family.limit), min(refresh_until, family.limit)
        family.issued.append(Issued(pair, access_until, refresh_until))
