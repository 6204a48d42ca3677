"""What the machine of the whole server knows: everything that was ever seen, each with the newest last."""

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from properties.profiles import Machine
from properties.whole_server.facts import ACCESS_LIFETIME, REFRESH_LIFETIME, Pair, ServerUnderTest
from properties.whole_server.promises import AllowedScope, Browser, Code, Grant, Issued, Registered, Tab, User

T = TypeVar("T")

PICKS = st.integers(0, 7)
"""Chooses one of a list of things: 0 is the newest."""


def newest(things: Sequence[T], pick: int) -> T:
    return things[-1 - pick % len(things)]


class World(Machine):
    system: ServerUnderTest
    now: int

    def __init__(self) -> None:
        super().__init__()
        self.clients: list[Registered] = []
        self.users: list[User] = []
        self.browsers: list[Browser] = []
        self.tabs: list[Tab] = []
        self.allowed: set[AllowedScope] = set()
        self.codes: list[Code] = []
        self.issued: list[Issued] = []
        self.evidence: Counter[str] = Counter()

    @property
    def is_late(self) -> bool:
        """Whether enough has happened that a step may disable or delete something."""
        return len(self.issued) >= 4

    @property
    def usable_clients(self) -> list[Registered]:
        return [client for client in self.clients if client.is_usable]

    @property
    def usable_users(self) -> list[User]:
        return [user for user in self.users if not user.disabled]

    def latest(self, client: Registered) -> Registered:
        """Return the registration that the client id of this one names now."""
        return next(other for other in reversed(self.clients) if other.client_id == client.client_id)

    def passes(self, seconds: int) -> None:
        self.now += seconds
        self.system.advance(seconds)

    def receives(self, grant: Grant, pair: Pair, scopes: tuple[str, ...]) -> None:
        """Check that a pair is new and has what it must have, and note it."""
        shown = {token for issued in self.issued for token in (issued.access, issued.refresh)}
        assert not {pair.access, pair.refresh} & (shown - {None})
        assert (pair.refresh is not None) == ("refresh_token" in grant.client.program.grant_types)
        issued = Issued(
            grant=grant,
            access=pair.access,
            refresh=pair.refresh,
            scopes=scopes,
            access_until=min(self.now + ACCESS_LIFETIME, grant.until),
            refresh_until=min(self.now + REFRESH_LIFETIME, grant.until),
        )
        assert (pair.scopes, pair.expires_in) == (scopes, issued.access_until - self.now)
        grant.issued.append(issued)
        self.issued.append(issued)
