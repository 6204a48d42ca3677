"""What people do in their browsers."""

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import rule
from msgspec.structs import replace

from properties.whole_server import facts
from properties.whole_server.facts import SESSION_LIFETIME, TRANSACTION_LIFETIME, Ask, Seen
from properties.whole_server.promises import (
    Browser,
    Code,
    SignIn,
    Tab,
    allowed_scopes,
    asked_scopes,
    host_of,
    page_of,
    shown_at_authorize,
)
from properties.whole_server.world import PICKS, World, newest

USUAL = "openid notes:read"
SCOPE = st.sampled_from([USUAL, USUAL, "openid notes:read notes:write", None, "notes:read unknown"])
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
"""How many pending requests the server allows one browser."""


class People(World):
    @rule(browser=PICKS, client=PICKS, ask=ASKS)
    def asks(self, browser, client, ask):
        self.asked(newest(self.browsers, browser), newest(self.clients, client), ask)

    def asked(self, browser, client, ask):
        """Send a browser to /authorize, and return the tab."""
        client = self.latest(client)
        if sum(tab.browser is browser and tab.is_open(self.now) for tab in self.tabs) >= MOST_TABS:
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
        self.sees(tab, seen, shown_at_authorize(tab, self.allowed, self.now))
        if tab.form is not None:
            self.tabs.append(tab)
        return tab

    @rule(tab=PICKS)
    def looks_again(self, tab):
        tab = self._tab(tab)
        self.sees(tab, self.system.look(tab.name), Seen(page_of(tab, self.allowed, self.now)))

    @rule(tab=PICKS, user=PICKS, right=st.sampled_from([True, True, True, False]))
    def signs_in(self, tab, user, right):
        self.signed_in(self._tab(tab), newest(self.users, user), right=right)

    def signed_in(self, tab, user, *, right):
        page, session = page_of(tab, self.allowed, self.now), tab.browser.session(self.now)
        seen = self.system.sign_in(tab.name, user.email, right=right)
        # If the user has signed in meanwhile in another tab, that sign-in stays.
        if page != "expired" and (session is None or tab.form_of is not None):
            if tab.form_of is not session:
                page = "foreign form"
            elif right and not user.disabled:
                if session is not None:
                    session.signed_out = True
                tab.browser.cookie = SignIn(user, self.now + SESSION_LIFETIME)
                page = page_of(tab, self.allowed, self.now)
            elif tab.client.is_usable:
                page = "sign in"
        self.sees(tab, seen, Seen(page))

    @rule(tab=PICKS, allowed=st.sampled_from([True, True, False]), kept=st.booleans())
    def answers(self, tab, allowed, kept):
        self.answered(self._tab(tab), allowed=allowed, kept=kept)

    def answered(self, tab, *, allowed, kept):
        expected = self._answer_to(tab, allowed=allowed, kept=kept)
        seen = self.system.decide(tab.name, allowed=allowed, kept=kept)
        self.sees(tab, seen, expected, of_scopes=tab.shown)

    def _answer_to(self, tab, *, allowed, kept):
        session = tab.browser.session(self.now)
        if (tab.denied and not kept) or self.now >= tab.until:
            return Seen("expired")
        if tab.form_of is not session:
            return Seen("foreign form")
        if session is None or tab.needs_sign_in(session):
            return Seen("not signed in")
        if not tab.client.is_usable:
            return Seen("unknown client" if tab.client.deleted else "disabled client")
        assert session in tab.asked_of  # only a user who was asked consents
        if tab.code is None:
            return Seen("code") if allowed else Seen("error", "access_denied")
        what = tab.code.again(session.user, self.now)
        if not allowed and what == "code":
            what = "spent"
        return Seen(what, tab.code.text if what == "code" else "")

    @rule(tab=PICKS)
    def signs_out(self, tab):
        tab = self._tab(tab)
        page, session = page_of(tab, self.allowed, self.now), tab.browser.session(self.now)
        seen = self.system.sign_out(tab.name)
        if (
            page != "expired" and session is not None
        ):  # a browser that is signed out already gets the next page
            if tab.form_of is not session:
                page = "foreign form"
            else:
                session.signed_out = True
                page = page_of(tab, self.allowed, self.now)
        self.sees(tab, seen, Seen(page))

    @property
    def open_tabs(self) -> list[Tab]:
        return [tab for tab in self.tabs if tab.code is None and tab.is_open(self.now)]

    def _tab(self, pick):
        """Choose a tab, mostly an open one."""
        if not self.open_tabs:
            client = newest(self.usable_clients or self.clients, pick)
            self.asked(newest(self.browsers, pick), client, Ask(prompt="consent"))
        return newest(self.open_tabs if pick < MOSTLY and self.open_tabs else self.tabs, pick)

    def sees(self, tab, seen, expected, *, of_scopes=None):
        """Check that the browser shows what it must, and note the result.

        `of_scopes` are the scopes to which a form consents, by default all of the request.
        """
        event(f"sees: {expected.what} {expected.text}")
        assert seen.what == expected.what
        session = tab.browser.session(self.now)
        match seen.what:
            case "sign in" | "consent":
                tab.form, tab.form_of = seen.what, session
            case "error":
                assert seen.text == expected.text
                tab.denied = True
            case "code" if tab.code is not None:
                assert seen.text == tab.code.text
            case "code":
                scopes = session.user.may_grant(tab.scopes if of_scopes is None else of_scopes)
                self.allowed |= allowed_scopes(tab, session.user, scopes)
                tab.code = self._gets_a_code(tab, session.user, seen.text, scopes)
        if seen.what == "consent":
            tab.asked_of.append(session)
            who_asks = (tab.client.program.name, host_of(tab.redirect_uri), tab.resource, session.user.email)
            tab.shown = session.user.may_grant(tab.scopes)
            assert all(fact in seen.text for fact in (*who_asks, *tab.shown))
            assert not any(scope in seen.text for scope in tab.scopes if scope not in tab.shown)

    def _gets_a_code(self, tab, user, text, scopes):
        assert text not in {code.text for code in self.codes}
        code = Code(
            text=text,
            user=user,
            client=tab.client,
            redirect_uri=tab.redirect_uri,
            scopes=scopes,
            resource=tab.resource,
            until=self.now + facts.CODE_LIFETIME,
        )
        self.codes.append(code)
        return code
