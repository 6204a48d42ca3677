"""Two tabs, the back button, a form sent twice, an expired or foreign form, lost cookies: each ends on a page
that says what to do."""

from playwright.sync_api import Page, expect

from support.loopback_client import LANDED, LoopbackClient
from support.server import PASSWORD, Server
from support.visitors import (
    NEW_PASSWORD,
    allow,
    comes_to,
    fills_password_change,
    fills_sign_up,
    presses_twice,
    sign_in,
)


def at_consent(page: Page, client: LoopbackClient, email: str) -> None:
    page.goto(client.url())
    sign_in(page, email)
    expect(page.get_by_role("heading", name="Allow access?")).to_be_visible()


def test_two_tabs_are_answered_one_after_the_other(page: Page, client: LoopbackClient, email: str):
    other = page.context.new_page()
    page.goto(client.url(state="first"))
    other.goto(client.url(state="second"))
    sign_in(page, email)
    sign_in(other, email)  # a form from before the sign-in, sent after it
    for tab in (other, page):
        allow(tab)
        expect(tab.get_by_text(LANDED)).to_be_visible()
    assert [answer["state"] for answer in client.answers] == ["second", "first"]


def test_after_going_back_signing_in_again_leads_to_consent(page: Page, client: LoopbackClient, email: str):
    at_consent(page, client, email)
    page.go_back()
    if comes_to(page, "Sign in", "Allow access?") == "Sign in":
        sign_in(page, email)
    expect(page.get_by_role("heading", name="Allow access?")).to_be_visible()
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()


def test_going_back_after_allowing_says_that_the_app_is_connected(
    page: Page, client: LoopbackClient, email: str
):
    at_consent(page, client, email)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    client.tokens()
    page.go_back()
    if comes_to(page, "Allow access?", "Already connected") == "Allow access?":
        allow(page)
    comes_to(page, "Already connected")
    page.get_by_role("link", name="See your account and your connected apps").click()
    if comes_to(page, "Sign in", "Connected apps") == "Sign in":
        sign_in(page, email)
    expect(page.get_by_text(client.client_id)).to_be_visible()
    assert len(client.answers) == 1


def test_allow_pressed_again_after_the_answer_gives_the_client_the_same_code(
    page: Page, client: LoopbackClient, email: str
):
    """From a second tab that shows the same page, before the client has redeemed the code."""
    at_consent(page, client, email)
    tab = page.context.new_page()
    tab.goto(page.url)
    sign_in(tab, email)
    for shown in (page, tab):
        allow(shown)
        expect(shown.get_by_text(LANDED)).to_be_visible()
    assert len(client.answers) == 2
    assert len({answer["code"] for answer in client.answers}) == 1
    client.tokens()
    tab.go_back()
    if comes_to(tab, "Allow access?", "Already connected") == "Allow access?":
        allow(tab)
    comes_to(tab, "Already connected")


def test_allow_pressed_twice_ends_at_the_client_with_one_code(page: Page, client: LoopbackClient, email: str):
    at_consent(page, client, email)
    page.evaluate(
        """() => { const allow = document.querySelector('button[value=allow]');
                   allow.click(); allow.click(); }"""
    )
    expect(page.get_by_text(LANDED)).to_be_visible()
    assert len({answer["code"] for answer in client.answers}) == 1
    assert client.is_let_in(client.tokens())


def test_an_answer_that_was_lost_on_the_way_is_sent_again(page: Page, client: LoopbackClient, email: str):
    """The first answer to Allow never arrives, as when the page is reloaded or the line breaks."""
    at_consent(page, client, email)
    lost: list[str] = []

    def lose(route: object) -> None:
        lost.append(route.fetch(max_redirects=0).headers["location"])  # type: ignore[attr-defined]
        route.abort("connectionreset")  # type: ignore[attr-defined]

    page.route("**/consent", lose, times=1)
    consent = page.url
    allow(page)
    page.wait_for_url("chrome-error://**")
    page.goto(consent)
    sign_in(page, email)  # typed, it leads to the page where nobody is signed in
    expect(page.get_by_text(LANDED)).to_be_visible()
    assert len(lost) == 1
    assert client.answers[0]["code"] in lost[0]
    assert client.is_let_in(client.tokens())


def test_a_page_whose_cookies_are_gone_says_how_to_begin_again(page: Page, client: LoopbackClient):
    page.goto(client.url())
    page.context.clear_cookies()
    sign_in(page, "somebody@example.com")
    comes_to(page, "This page has expired")
    expect(page.get_by_text("allow cookies for this site")).to_be_visible()
    expect(page.get_by_text("connect again")).to_be_visible()


def test_signing_in_at_the_account_needs_no_cookie_from_before(page: Page, server: Server, email: str):
    page.goto(f"{server.origin}/authorize/account")
    page.context.clear_cookies()
    sign_in(page, email)
    comes_to(page, "Connected apps")


def test_a_form_that_another_page_made_does_nothing(
    page: Page, server: Server, client: LoopbackClient, email: str
):
    """A foreign page sends our consent form for a person who is signed in."""
    at_consent(page, client, email)
    consent = page.url
    page.route(
        "http://evil.test/**",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f"""<form method=post action="{consent}/consent"><input name=decision value=allow>
                     <input name=csrf_token value={"x" * 43}><button>Win a prize</button></form>""",
        ),
    )
    page.goto("http://evil.test/")
    page.get_by_role("button", name="Win a prize").click()
    # The cookies are Lax: they do not even come along with a form of another site.
    comes_to(page, "This page has expired", "This form cannot be used")
    assert client.answers == []


def test_a_consent_page_after_sign_out_links_back_to_the_request(
    page: Page, server: Server, client: LoopbackClient, email: str
):
    at_consent(page, client, email)
    other = page.context.new_page()
    other.goto(f"{server.origin}/authorize/account")
    sign_in(other, email)
    other.get_by_role("button", name="Sign out everywhere").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    allow(page)
    comes_to(page, "This form cannot be used")
    assert client.answers == []
    page.get_by_role("link", name="Continue with the request").click()
    sign_in(page, email)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()


def test_disconnect_pressed_twice_ends_on_the_list(
    page: Page, server: Server, client: LoopbackClient, email: str
):
    at_consent(page, client, email)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    client.tokens()
    page.goto(f"{server.origin}/authorize/account")
    sign_in(page, email)
    presses_twice(page, "Disconnect")
    expect(page.get_by_text("None. When you connect an app")).to_be_visible()


def test_sign_up_pressed_twice_ends_on_the_sign_in_page(page: Page, server: Server, email: str):
    page.goto(f"{server.origin}/authorize/account")
    page.get_by_role("link", name="Sign up").click()
    fills_sign_up(page, f"new-{email}")
    presses_twice(page, "Sign up")
    comes_to(page, "Sign in")
    page.get_by_label("Password").fill(PASSWORD)  # the address is still there
    page.get_by_role("button", name="Sign in").click()
    comes_to(page, "Connected apps")


def test_change_password_pressed_twice_ends_with_a_changed_password(page: Page, server: Server, email: str):
    page.goto(f"{server.origin}/authorize/account")
    sign_in(page, email)
    page.get_by_role("link", name="Change password").click()
    fills_password_change(page)
    presses_twice(page, "Change password")
    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(page, email, NEW_PASSWORD)
    comes_to(page, "Connected apps")


def test_an_expired_request_says_to_connect_again(page: Page, client: LoopbackClient, email: str):
    """As after ten minutes, when the browser deletes the cookie of the request."""
    at_consent(page, client, email)
    name = next(c["name"] for c in page.context.cookies() if c["name"].startswith("grantledger-request-"))
    page.context.clear_cookies(name=name)
    allow(page)
    comes_to(page, "This page has expired")
    expect(page.get_by_text("Go back to the application")).to_be_visible()


def test_a_wrong_password_keeps_the_address_and_goes_on(page: Page, client: LoopbackClient, email: str):
    page.goto(client.url())
    sign_in(page, email, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    expect(page.get_by_label("E-mail address")).to_have_value(email)
    page.keyboard.type(PASSWORD)  # the empty field has the focus
    page.keyboard.press("Enter")
    comes_to(page, "Allow access?")


def test_an_unknown_address_leads_to_the_account(page: Page, server: Server):
    page.goto(f"{server.origin}/authorize/nothing/here")
    comes_to(page, "There is no page here")
    page.get_by_role("link", name="See your account").click()
    comes_to(page, "Sign in")
