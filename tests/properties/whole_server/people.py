"""What people do in their browsers."""

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec.structs import replace

from properties.whole_server import facts
from properties.whole_server.facts import SESSION_LIFETIME, TRANSACTION_LIFETIME, Ask, Seen
from properties.whole_server.promises import (
    Browser,
    Code,
    SignIn,
    Tab,
    asked_scopes,
    host_of,
    page_of,
    told_at_once,
    yeses,
)
from properties.whole_server.world import PICKS, World, newest

SCOPE = st.sampled_from(["openid notes:read", "openid notes:read notes:write", None, "notes:read unknown"])
RESOURCE = st.sampled_from([facts.FILES, facts.NOTES, None])
PROMPT = st.sampled_from([None, None, None, "consent", "login", "none"])
ASKS = st.builds(
    Ask,
    redirect_uri=st.sampled_from([None, None, None, facts.MIRROR]),
    scope=SCOPE | st.just("unknown"),
    resource=RESOURCE | st.just(facts.ELSEWHERE),
    prompt=PROMPT,
)
MOSTLY = 6
MOST_TABS = 8
"""How many requests the server lets one browser park."""


class People(World):
    @rule(browser=PICKS, client=PICKS, ask=ASKS)
    def asks(self, browser, client, ask):
        self.asked(browser, newest(self.clients, client), ask)

    def asked(self, browser, client, ask):
        """Send a browser to /authorize, and return the tab."""
        client, browser = self.latest(client), newest(self.browsers, browser)
        if sum(tab.browser is browser and not tab.answered for tab in self.tabs) >= MOST_TABS:
            browser = Browser(f"browser {len(self.browsers)}")
            self.browsers.append(browser)
        ask = replace(ask, redirect_uri=ask.redirect_uri or client.program.redirect_uris[0])
        name, seen = self.system.authorize(browser.name, client.client_id, ask)
        tab = Tab(
            name=name,
            browser=browser,
            client=client,
            redirect_uri=ask.redirect_uri,
            scopes=asked_scopes(ask),
            resource=ask.resource or facts.FILES,
            prompt=ask.prompt,
            before=browser.session(self.now),
            until=self.now + TRANSACTION_LIFETIME,
        )
        self.sees(tab, seen, told_at_once(tab, self.said, self.now))
        if tab.form is not None:
            self.tabs.append(tab)
        return tab

    @precondition(lambda self: self.tabs)
    @rule(tab=PICKS)
    def looks_again(self, tab):
        tab = self._tab(tab)
        self.sees(tab, self.system.look(tab.name), Seen(page_of(tab, self.said, self.now)))

    @precondition(lambda self: self.open_tabs)
    @rule(tab=PICKS, user=PICKS, right=st.sampled_from([True, True, True, False]))
    def signs_in(self, tab, user, right):
        self.signed_in(self._tab(tab), newest(self.users, user), right=right)

    def signed_in(self, tab, user, *, right):
        page, session = page_of(tab, self.said, self.now), tab.browser.session(self.now)
        seen = self.system.sign_in(tab.name, user.email, right=right)
        # Signed in meanwhile, in another tab: that sign-in stays.
        if page != "expired" and (session is None or tab.form_of is not None):
            if tab.form_of is not session:
                page = "foreign form"
            elif right and not user.disabled:
                if session is not None:
                    session.signed_out = True
                tab.browser.cookie = SignIn(user, self.now + SESSION_LIFETIME)
                page = page_of(tab, self.said, self.now)
            elif tab.client.is_usable:
                page = "sign in"
        self.sees(tab, seen, Seen(page))

    @precondition(lambda self: self.open_tabs)
    @rule(tab=PICKS, allowed=st.sampled_from([True, True, False]), times=st.sampled_from([1, 1, 2]))
    def answers(self, tab, allowed, times):
        self.answered(self._tab(tab), allowed=allowed, times=times)

    def answered(self, tab, *, allowed, times):
        expected = self._answer_to(tab, allowed=allowed)
        first, *again = self.system.decide(tab.name, allowed=allowed, times=times)
        self.sees(tab, first, expected)
        for seen in again:
            assert seen.what == ("spent" if first.what == "code" else first.what)

    def _answer_to(self, tab, *, allowed):
        page, session = page_of(tab, self.said, self.now), tab.browser.session(self.now)
        if page == "expired":
            return Seen(page)
        if tab.form_of is not session:
            return Seen("foreign form")
        if session is None or tab.needs_sign_in(session):
            return Seen("not signed in")
        if not tab.client.is_usable:
            return Seen(page)
        assert tab.form == "consent"  # nobody says yes who was not asked
        return Seen("code") if allowed else Seen("error", "access_denied")

    @precondition(lambda self: self.open_tabs)
    @rule(tab=PICKS)
    def signs_out(self, tab):
        tab = self._tab(tab)
        page, session = page_of(tab, self.said, self.now), tab.browser.session(self.now)
        seen = self.system.sign_out(tab.name)
        if page != "expired" and tab.form_of is not session:
            page = "foreign form"
        elif page != "expired":
            if session is not None:
                session.signed_out = True
            page = page_of(tab, self.said, self.now)
        self.sees(tab, seen, Seen(page))

    @property
    def open_tabs(self) -> list[Tab]:
        return [tab for tab in self.tabs if not tab.answered and self.now < tab.until]

    def _tab(self, pick):
        """Choose a tab, mostly one that still waits."""
        return newest(self.open_tabs if pick < MOSTLY and self.open_tabs else self.tabs, pick)

    def sees(self, tab, seen, expected):
        """Hold that the browser shows what it must, and keep what came of it."""
        event(f"sees: {expected.what} {expected.text}")
        assert seen.what == expected.what
        session = tab.browser.session(self.now)
        match seen.what:
            case "sign in" | "consent":
                tab.form, tab.form_of = seen.what, session
            case "error":
                assert seen.text == expected.text
                tab.answered = True
            case "code":
                tab.answered = True
                self.said |= yeses(tab, session.user)
                self._gets_a_code(tab, session.user, seen.text)
        if seen.what == "consent":
            who_asks = (tab.client.program.name, host_of(tab.redirect_uri), tab.resource, session.user.email)
            assert all(fact in seen.text for fact in (*who_asks, *tab.scopes))

    def _gets_a_code(self, tab, user, text):
        assert text not in {code.text for code in self.codes}
        self.codes.append(
            Code(
                text=text,
                user=user,
                client=tab.client,
                redirect_uri=tab.redirect_uri,
                scopes=tab.scopes,
                resource=tab.resource,
                until=self.now + facts.CODE_LIFETIME,
            )
        )
