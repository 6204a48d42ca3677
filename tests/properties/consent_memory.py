"""What users allow clients, against a model that keeps every consent in a dictionary.

Ada's client may be disabled or registered again, and Ada disabled. Bob and the other client stay as they are.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations, product
from typing import Protocol

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, multiple, precondition, rule
from msgspec import Struct
from msgspec.structs import replace

from properties.profiles import Machine, System

START = 1_800_000_000
WAITS = 600
MOST_PENDING = 8

USERS = ("Ada", "Bob")
CLIENTS = ("Editor", "Reader")
RESOURCES = ("https://mcp.example/mcp", "https://mcp.example/notes/mcp")
SCOPES = (("openid",), ("email",), ("openid", "email"), ("email", "profile", "openid"), ("notes:read",))
PROMPTS = (None, None, None, "none", "consent")

REDIRECTS = {
    "https://client.example/callback": "client.example",
    "https://client.example:8443/another": "client.example",
    "https://client.example.evil.example/callback": "client.example.evil.example",
    "http://127.0.0.1:3118/callback": "127.0.0.1",
    "https://localhost:8443/callback": "localhost",
    "com.example.editor:/callback": "com.example.editor:",
}
"""Where the answer may go, and the host that the page shows."""

NEVER_REMEMBERED = ("127.0.0.1", "localhost", "com.example.editor:")
"""Redirect URIs at which any program on the user's machine may listen."""


class Wish(Struct, frozen=True):
    """What a client asks a user for."""

    user: str
    client: str
    redirect_uri: str
    resource: str
    scopes: tuple[str, ...]
    prompt: str | None

    @property
    def host(self) -> str:
        return REDIRECTS[self.redirect_uri]


class Page(Struct, frozen=True):
    """A consent page: its pending request, and its text."""

    transaction: str
    text: str


class Granted(Struct, frozen=True):
    """What the tokens of a code give access to."""

    user: str
    client: str
    resource: str
    scopes: tuple[str, ...]


WISHES = st.builds(
    Wish,
    user=st.sampled_from(USERS),
    client=st.sampled_from(CLIENTS),
    redirect_uri=st.sampled_from([*REDIRECTS]),
    resource=st.sampled_from(RESOURCES),
    scopes=st.sampled_from(SCOPES),
    prompt=st.sampled_from(PROMPTS),
)
CHANGES = st.just({}) | st.sampled_from(
    [
        {"prompt": "none"},
        {"prompt": "consent"},
        *({"scopes": scopes} for scopes in SCOPES),
        *({"redirect_uri": uri} for uri in REDIRECTS),
        *({"resource": resource} for resource in RESOURCES),
        *({"client": client} for client in CLIENTS),
        *({"user": user} for user in USERS),
    ]
)
"""Changes of a wish, each in one field. Half of them change nothing."""

Outcome = Page | Granted | str
"""A text is an error code for the client, "sign in" for that page, or "refused" for an error page."""


class ConsentsUnderTest(System, Protocol):
    """What the machine drives: two users, each in a browser of their own, and two clients."""

    def ask(self, wish: Wish) -> Outcome:
        """Send the user's browser to the authorization endpoint."""
        ...

    def answer(self, transactions: Sequence[str], *, allowed: bool) -> list[Outcome]:
        """Answer the pages of these requests at once; the browser forgets those that were answered."""
        ...

    def disconnect(self, user: str, client: str) -> None:
        """Let the user disconnect the client."""
        ...

    def alive(self, user: str, client: str) -> int:
        """Count the grants of the user and the client whose tokens are accepted; they never expire here."""
        ...

    def approve_client(self) -> None:
        """Let an operator approve the client, which is a public one."""
        ...


class PendingWish(Struct):
    wish: Wish
    registration: int
    until: int
    answered: bool = False


class ConsentMemory(Machine):
    requests = Bundle("requests")
    system: ConsentsUnderTest

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.pending: dict[str, PendingWish] = {}
        self.allowed: dict[tuple[str, str, int, str, str], set[str]] = {}
        self.registrations = dict.fromkeys(CLIENTS, 1)
        self.disabled: set[str] = set()
        self.allowed_wishes: list[Wish] = []
        """The oldest first."""
        self.grants: Counter[tuple[str, str, int]] = Counter()
        self.codes = self.fewest_consents = self.most_consents = self.withdrawals = 0

    @initialize(target=requests, approved=st.booleans())
    def starts(self, approved):
        self.system = self.system_for()
        if approved:
            # It has no effect: any program can say that it is a public client.
            self.system.approve_client()
        wish = Wish(USERS[0], CLIENTS[0], next(iter(REDIRECTS)), RESOURCES[0], SCOPES[0], None)
        return self.asks(wish)

    @rule(target=requests, wish=WISHES)
    def asks(self, wish):
        if self._has_no_room(wish.user):
            self.time_passes(WAITS)
        outcome, expected = self.system.ask(wish), self._expected(wish)
        event(expected if isinstance(expected, str) else type(expected).__name__)
        if expected != "page":
            assert outcome == expected
            if isinstance(outcome, Granted):
                self._opens_a_grant(wish)
            return multiple()
        assert isinstance(outcome, Page), outcome
        unseen = [
            part for part in (wish.client, wish.host, wish.resource, *wish.scopes) if part not in outcome.text
        ]
        assert not unseen, "the page does not say all that is asked"
        self.pending[outcome.transaction] = PendingWish(
            wish, self.registrations[wish.client], self.now + WAITS
        )
        return outcome.transaction

    @rule(wish=WISHES)
    def asks_and_is_allowed(self, wish):
        transaction = self.asks(replace(wish, prompt="consent"))
        if isinstance(transaction, str):
            self.allows([transaction])

    @precondition(lambda self: self.allowed_wishes)
    @rule(target=requests, ago=st.integers(0, 4), change=CHANGES)
    def asks_for_almost_what_was_allowed(self, ago, change):
        wish = self.allowed_wishes[max(0, len(self.allowed_wishes) - 1 - ago)]
        return self.asks(replace(wish, **{"prompt": None, **change}))

    @precondition(lambda self: self.allowed_wishes)
    @rule(ago=st.integers(0, 4))
    def asks_for_what_was_allowed(self, ago):
        self.asks(replace(self.allowed_wishes[max(0, len(self.allowed_wishes) - 1 - ago)], prompt=None))

    @rule(transactions=st.lists(requests, min_size=1, max_size=3))
    def allows(self, transactions):
        """A consent that is sent twice gives the same code twice."""
        expected = [
            self._granted(self.pending[name].wish) if self._may_be_answered(name) else "refused"
            for name in transactions
        ]
        assert self.system.answer(transactions, allowed=True) == expected
        answered = [self.pending[name] for name in dict.fromkeys(transactions) if self._may_be_answered(name)]
        self._remember([found.wish for found in answered])
        for found in answered:
            found.answered = True

    @rule(transaction=requests)
    def denies(self, transaction):
        expected = "access_denied" if self._may_be_answered(transaction) else "refused"
        assert self.system.answer([transaction], allowed=False) == [expected]
        if expected == "access_denied":
            self.pending[transaction].answered = True

    @rule(user=st.sampled_from(USERS), client=st.sampled_from(CLIENTS))
    def disconnects(self, user, client):
        if user in self.disabled:
            return
        assert self.system.alive(user, client) == self._alive(user, client)
        self.system.disconnect(user, client)
        before = len(self.allowed)
        self.allowed = {
            consent: scopes for consent, scopes in self.allowed.items() if consent[:2] != (user, client)
        }
        self.withdrawals += len(self.allowed) < before
        self.grants = Counter({whose: n for whose, n in self.grants.items() if whose[:2] != (user, client)})
        assert self.system.alive(user, client) == 0

    @rule(seconds=st.sampled_from([1, 60, 599, 600]))
    def time_passes(self, seconds):
        self.now += seconds
        self.system.advance(seconds)

    @rule(transaction=requests, early=st.sampled_from([0, 1]))
    def time_passes_until_the_request_ends(self, transaction, early):
        self.time_passes(max(0, self.pending[transaction].until - early - self.now))

    @precondition(lambda self: self.is_late)
    @rule()
    def the_client_is_disabled(self):
        self.system.disable_client()
        self.disabled.add(CLIENTS[0])

    @precondition(lambda self: self.is_late)
    @rule()
    def the_client_is_deleted_and_registers_again(self):
        self.system.delete_client_and_register_again()
        self.registrations[CLIENTS[0]] += 1
        self.disabled.discard(CLIENTS[0])

    @precondition(lambda self: self.is_late)
    @rule()
    def the_user_is_disabled(self):
        self.system.disable_user()
        self.disabled.add(USERS[0])

    def ends(self):
        """A consent is recorded once, a denial never, and a grant lives until its user withdraws it."""
        assert self.fewest_consents <= self.system.recorded("consent.given.v1") <= self.most_consents
        assert self.system.recorded("consent.withdrawn.v1") == self.withdrawals
        for user, client in product(USERS, CLIENTS):
            assert self.system.alive(user, client) == self._alive(user, client)
        assert self.system.recorded("authorization_code.issued.v1") == self.codes

    @property
    def is_late(self) -> bool:
        """Whether enough has happened that a step may disable or delete something."""
        return self.codes > 4

    def _expected(self, wish):
        """Return "page", an error, or the code where the user need not be asked again."""
        if wish.client in self.disabled:
            return "refused"
        if wish.user in self.disabled:
            return "login_required" if wish.prompt == "none" else "sign in"
        counts = wish.host not in NEVER_REMEMBERED and wish.prompt != "consent"
        if counts and set(wish.scopes) <= self.allowed.get(self._consent_to(wish), set()):
            return self._granted(wish)
        return "consent_required" if wish.prompt == "none" else "page"

    def _may_be_answered(self, transaction):
        found = self.pending[transaction]
        gone = {found.wish.user, found.wish.client} & self.disabled
        same_client = found.registration == self.registrations[found.wish.client]
        return not (found.answered or gone) and same_client and self.now < found.until

    def _remember(self, wishes):
        counts = [self._wider(order) for order in permutations(wishes)]
        self.fewest_consents += min(counts)
        self.most_consents += max(counts)
        self.allowed_wishes += wishes
        for wish in wishes:
            self._opens_a_grant(wish)
            self.allowed.setdefault(self._consent_to(wish), set()).update(wish.scopes)

    def _opens_a_grant(self, wish):
        self.codes += 1
        self.grants[wish.user, wish.client, self.registrations[wish.client]] += 1

    def _alive(self, user, client):
        return 0 if {user, client} & self.disabled else self.grants[user, client, self.registrations[client]]

    def _wider(self, wishes):
        """Count the wishes that ask for more than the user had allowed before."""
        allowed = {consent: {*scopes} for consent, scopes in self.allowed.items()}
        wider = 0
        for wish in wishes:
            here = allowed.setdefault(self._consent_to(wish), set())
            wider += not set(wish.scopes) <= here
            here.update(wish.scopes)
        return wider

    def _consent_to(self, wish):
        return wish.user, wish.client, self.registrations[wish.client], wish.host, wish.resource

    def _granted(self, wish):
        return Granted(wish.user, wish.client, wish.resource, wish.scopes)

    def _has_no_room(self, user):
        """Whether one more request would push the oldest out of the user's browser."""
        pending = [w for w in self.pending.values() if w.wish.user == user and not w.answered]
        return len([w for w in pending if self.now < w.until]) >= MOST_PENDING
