"""The life of authorization codes, against a model that knows who redeemed what when and nothing else.

What it runs against is a parameter: codes as the domain decides them, or the use cases over any ledger.
"""

from collections import Counter
from typing import Protocol

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

from properties.profiles import Machine

START = 1_800_000_000
LIFETIME = 600

MISTAKES = ("another client", "another redirect URI", "another verifier", "no verifier", "another resource")


class CodesUnderTest(Protocol):
    """What the machine drives, by names of its own: every code and every grant has one."""

    has_clients_and_users: bool

    def advance(self, seconds: int) -> None: ...

    def issue(self) -> str:
        """Issue a code that lives for `LIFETIME` seconds."""
        ...

    def redeem(self, code: str, mistake: str | None, times: int) -> list[str]:
        """Redeem the code so many times at once; return for each the grant it opened, "replay" or "no"."""
        ...

    def is_alive(self, grant: str) -> bool:
        """Whether the tokens of the grant are accepted; they never expire here."""
        ...

    def revoke(self, grant: str) -> None: ...

    def disable_client(self) -> None: ...

    def delete_client_and_register_it_anew(self) -> None: ...

    def disable_user(self) -> None: ...

    def close(self) -> None: ...


class Issued(Struct):
    until: int
    registration: int
    grant: str | None = None
    replayed: bool = False


class CodeLifecycle(Machine):
    codes = Bundle("codes")
    system: CodesUnderTest

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.issued: dict[str, Issued] = {}
        self.revoked: set[str] = set()
        self.registration = 1
        self.client_disabled = self.user_disabled = False

    @initialize(target=codes)
    def starts(self):
        self.system = self.system_for()
        return multiple(self.issues(), self.issues())

    @precondition(lambda self: not (self.client_disabled or self.user_disabled))
    @rule(target=codes)
    def issues(self):
        code = self.system.issue()
        assert code not in self.issued
        self.issued[code] = Issued(until=self.now + LIFETIME, registration=self.registration)
        return code

    @rule(seconds=st.sampled_from([1, 10, 300, 600]))
    def time_passes(self, seconds):
        self.now += seconds
        self.system.advance(seconds)

    @rule(code=codes, early=st.sampled_from([0, 1]))
    def time_passes_until_the_code_ends(self, code, early):
        self.time_passes(max(0, self.issued[code].until - early - self.now))

    @rule(code=codes, times=st.sampled_from([1, 1, 2, 5]))
    def redeems(self, code, times):
        issued = self.issued[code]
        outcomes = Counter(self.system.redeem(code, None, times))
        opened = set(outcomes) - {"no", "replay"}
        expected = self._expected(issued, times)
        event("opened" if opened else max(outcomes))
        assert (len(opened), outcomes["replay"], outcomes["no"]) == expected
        if opened:
            (issued.grant,) = opened
            assert [other.grant for other in self.issued.values()].count(issued.grant) == 1
        issued.replayed = issued.replayed or outcomes["replay"] > 0

    @rule(code=codes, mistake=st.sampled_from(MISTAKES), times=st.sampled_from([1, 3]))
    def redeems_with_a_mistake(self, code, mistake, times):
        assert self.system.redeem(code, mistake, times) == ["no"] * times

    @rule(code=codes)
    def revokes(self, code):
        grant = self.issued[code].grant
        if grant is not None and self.issued[code].registration == self.registration:
            self.system.revoke(grant)
            self.revoked.add(grant)

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
    def a_grant_lives_until_its_code_is_replayed_or_it_is_revoked(self):
        for issued in self.issued.values():
            if issued.grant is not None:
                dead = issued.replayed or issued.grant in self.revoked or self._is_gone(issued)
                assert self.system.is_alive(issued.grant) == (not dead)

    def teardown(self):
        if hasattr(self, "system"):
            self.system.close()
        super().teardown()

    @property
    def is_late(self) -> bool:
        """Whether enough has happened for something that ends it."""
        return len(self.issued) > 4

    def _is_gone(self, issued):
        """Whether the client or the user of the code is not there any more."""
        return self.client_disabled or self.user_disabled or issued.registration != self.registration

    def _expected(self, issued, times):
        """Return how many redemptions open a grant, are replays, and are refused without a trace."""
        if self._is_gone(issued):
            return 0, 0, times
        if issued.grant is not None:
            return 0, times, 0
        if self.now >= issued.until:
            return 0, 0, times
        return 1, times - 1, 0
