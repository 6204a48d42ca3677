"""The life of authorization codes, against a model of who redeemed which code when.

Refusals are compared by the error code that a client gets.
"""

from collections import Counter
from typing import Protocol

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, multiple, precondition, rule
from msgspec import Struct

from properties.profiles import Machine, System

START = 1_800_000_000
LIFETIME = 600

MISTAKES = {
    "another client": "invalid_grant",
    "another redirect URI": "invalid_grant",
    "another verifier": "invalid_grant",
    "no verifier": "invalid_request",
    "another resource": "invalid_target",
}


class CodesUnderTest(System, Protocol):
    """The system that the machine drives. It gives every code and every grant a name of its own."""

    def issue(self) -> str:
        """Issue a code that lives for `LIFETIME` seconds."""
        ...

    def redeem(self, code: str, mistake: str | None, times: int) -> list[str]:
        """Redeem the code `times` times at once. Return for each the grant it opened, or the error code."""
        ...

    def alive(self, grants: list[str]) -> list[bool]:
        """Say for each grant whether its tokens are accepted; they never expire here."""
        ...

    def revoke(self, grant: str) -> None: ...


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
        refused = outcomes.pop("invalid_grant", 0)
        may_open = issued.grant is None and not self._is_gone(issued) and self.now < issued.until
        event("opened" if outcomes else "refused")
        assert (outcomes.total(), refused) == ((1, times - 1) if may_open else (0, times))
        if may_open:
            (issued.grant,) = outcomes
            assert [other.grant for other in self.issued.values()].count(issued.grant) == 1
        if issued.grant is not None and not self._is_gone(issued) and self.now < issued.until:
            issued.replayed = issued.replayed or refused > 0

    @rule(code=codes, mistake=st.sampled_from([*MISTAKES]), times=st.sampled_from([1, 3]))
    def redeems_with_a_mistake(self, code, mistake, times):
        issued = self.issued[code]
        over = self._is_gone(issued) or self.now >= issued.until
        expected = "invalid_grant" if over else MISTAKES[mistake]
        assert self.system.redeem(code, mistake, times) == [expected] * times

    @rule(code=codes)
    def revokes(self, code):
        grant = self.issued[code].grant
        if grant is not None and self.issued[code].registration == self.registration:
            self.system.revoke(grant)
            self.revoked.add(grant)

    @precondition(lambda self: self.is_late)
    @rule()
    def the_client_is_disabled(self):
        self.system.disable_client()
        self.client_disabled = True

    @precondition(lambda self: self.is_late)
    @rule()
    def the_client_is_deleted_and_registers_again(self):
        self.system.delete_client_and_register_again()
        self.registration += 1
        self.client_disabled = False

    @precondition(lambda self: self.is_late)
    @rule()
    def the_user_is_disabled(self):
        self.system.disable_user()
        self.user_disabled = True

    @invariant()
    def a_grant_lives_until_its_code_is_replayed_or_it_is_revoked(self):
        opened = {issued.grant: issued for issued in self.issued.values() if issued.grant is not None}
        lives = [
            not (issued.replayed or grant in self.revoked or self._is_gone(issued))
            for grant, issued in opened.items()
        ]
        assert self.system.alive([*opened]) == lives

    def ends(self):
        """Each replayed code has one event of its replay."""
        issued = self.issued.values()
        assert self.system.recorded("authorization_code.issued.v1") == len(issued)
        assert self.system.recorded("authorization_code.redeemed.v1") == sum(bool(i.grant) for i in issued)
        assert self.system.recorded("authorization_code.replayed.v1") == sum(i.replayed for i in issued)

    @property
    def is_late(self) -> bool:
        """Whether enough has happened that a step may disable or delete something."""
        return len(self.issued) > 4

    def _is_gone(self, issued):
        """Whether the client of the code was deleted, or it or the user is disabled."""
        return self.client_disabled or self.user_disabled or issued.registration != self.registration
