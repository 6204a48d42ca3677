"""The whole server: any sequence of what clients, people and operators do, several of each at once.

After each step the machine looks up tokens: all that the step ended, and some of those that live or had ended
before.
"""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from msgspec.structs import replace

from properties.whole_server import facts
from properties.whole_server.apps import Apps, Caller
from properties.whole_server.facts import Ask
from properties.whole_server.operators import KINDS, Operators
from properties.whole_server.people import RESOURCE, SCOPE, USUAL, People
from properties.whole_server.promises import Browser
from properties.whole_server.world import PICKS, newest

LIVE_ASKED, DEAD_ASKED = 4, 2


class WholeServer(Operators, People, Apps):
    alive: frozenset[str] = frozenset()
    turn = 0

    @initialize(kinds=st.lists(st.sampled_from(list(KINDS)), min_size=2, max_size=3))
    def starts(self, kinds):
        self.system = self.system_for()
        self.now = self.system.now
        for number, kind in enumerate(kinds):
            self.browsers.append(Browser(f"browser {number}"))
            self.an_account_is_opened()
            self.registers(kind, 1)
            self.connects(0, 0, 0, Ask(scope=USUAL), redeemed=True)

    @rule(
        user=PICKS,
        browser=PICKS,
        client=PICKS,
        ask=st.builds(Ask, scope=SCOPE, resource=RESOURCE),
        redeemed=st.sampled_from([True, True, False]),
        twice=st.booleans(),
        is_mirrored=st.booleans(),
    )
    def connects(self, user, browser, client, ask, *, redeemed, twice=False, is_mirrored=False):
        """All that it takes, from /authorize to the tokens."""
        if not self.usable_clients or not self.usable_users:
            self.passes(1)
            return
        client = newest(self.usable_clients, client)
        ask = replace(ask, redirect_uri=client.program.redirect_uris[-1 if is_mirrored else 0])
        tab = self.asked(newest(self.browsers, browser), client, ask)
        if tab.form == "sign in":
            self.signed_in(tab, newest(self.usable_users, user), right=True)
        if tab.code is None and not tab.denied:
            self.answered(tab, allowed=True, kept=False)
        if redeemed:
            self.redeemed(tab.code, Caller(client), None)
        if twice and tab.form == "consent":
            self.answered(tab, allowed=True, kept=True)

    @rule(tab=PICKS)
    def a_client_is_deleted_and_its_users_come_back(self, tab):
        """Ask again for what was allowed to an earlier registration."""
        tab = newest([tab for tab in self.tabs if tab.code is not None], tab)
        if self.latest(tab.client) is not tab.client or tab.client.deleted:
            self.passes(1)
            return
        self.deleted(tab.client)
        self.registered(tab.client.program)
        client, scope = self.clients[-1], " ".join(tab.scopes)
        self.asked(
            tab.browser, client, Ask(redirect_uri=tab.redirect_uri, scope=scope, resource=tab.resource)
        )

    @invariant()
    def every_token_is_good_for_what_it_must_be(self):
        live = {issued.access: session for issued in self.issued if (session := issued.session(self.now))}
        dead = [issued.access for issued in self.issued if issued.access not in live]
        ended = [token for token in dead if token in self.alive]
        others = [token for token in dead if token not in self.alive]
        self.alive = frozenset(live)
        self.turn += 1
        asked = [*ended, *some([*live], LIVE_ASKED, self.turn), *some(others, DEAD_ASKED, self.turn)]
        found = self.system.sessions([(token, None) for token in asked])
        assert found == [live.get(token) for token in asked]

    @precondition(lambda self: self.issued)
    @invariant()
    def a_token_is_good_for_one_audience_alone(self):
        issued = newest(self.issued, self.turn)
        resources = (facts.FILES, facts.NOTES, facts.ELSEWHERE)
        found = self.system.sessions([(issued.access, resource) for resource in resources])
        session = issued.session(self.now)
        assert found == [session if resource == issued.grant.resource else None for resource in resources]

    @precondition(lambda self: self.issued)
    @invariant()
    def what_must_be_recorded_is(self):
        assert self.system.recorded() == +self.evidence


def some(tokens, number, turn):
    """Return `number` of the tokens: the newest, and others in turn."""
    older = tokens[:-1]
    start = turn % len(older) if older else 0
    return [*tokens[-1:], *(older[start:] + older[:start])[: number - 1]]
