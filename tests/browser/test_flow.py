"""The whole flow in Chromium: a client asks, a user signs in and allows, the client gets its answer."""

from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Browser, Page, expect

from support.chromium import new_context
from support.loopback_client import LANDED, LoopbackClient
from support.server import PASSWORD, Server
from support.visitors import (
    NEW_PASSWORD,
    allow,
    changes_password,
    comes_to,
    keep_cookies,
    sign_in,
    signs_up,
)


def test_by_mouse(page: Page, client: LoopbackClient, email: str):
    page.goto(client.url())
    sign_in(page, email)
    expect(page.get_by_text(email).first).to_be_visible()
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    assert client.answers[0]["state"] == "the-state"
    assert client.is_let_in(client.tokens())


def test_chromium_complains_about_nothing_on_the_pages(page: Page, client: LoopbackClient, email: str):
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(client.url())
    sign_in(page, email)
    comes_to(page, "Allow access?")
    page.get_by_role("link", name="Connected apps").click()
    comes_to(page, "Connected apps")
    assert complaints == []


def test_by_keyboard_alone(page: Page, client: LoopbackClient, email: str):
    page.goto(client.url())
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Allow access?")).to_be_visible()
    tabs_to(page, "Allow")
    page.keyboard.press("Enter")
    expect(page.get_by_text(LANDED)).to_be_visible()
    assert client.is_let_in(client.tokens())


def test_a_client_may_post_its_request_from_another_site(page: Page, client: LoopbackClient, email: str):
    """OpenID Connect Core section 3.1.2.1."""
    endpoint, _, asked = client.url().partition("?")
    fields = "".join(f'<input name="{name}" value="{value}">' for name, value in parse_qsl(asked))
    form = f'<form method="post" action="{endpoint}">{fields}<button>Connect</button></form>'
    page.route("http://client.test/", lambda route: route.fulfill(content_type="text/html", body=form))
    page.goto("http://client.test/")
    page.get_by_role("button", name="Connect").click()
    sign_in(page, email)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    assert client.answers[0]["state"] == "the-state"


@pytest.mark.parametrize("width", [320, 1280])
def test_without_scripts(browser: Browser, client: LoopbackClient, email: str, width: int):
    context = new_context(browser, java_script_enabled=False, viewport={"width": width, "height": 640})
    page = context.new_page()
    page.goto(client.url())
    sign_in(page, email)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    assert client.is_let_in(client.tokens())
    context.close()


def test_an_account_needs_no_scripts_from_sign_up_to_sign_out(
    browser: Browser, server: Server, client: LoopbackClient, email: str
):
    context = new_context(browser, java_script_enabled=False, viewport={"width": 320, "height": 640})
    page, address = context.new_page(), f"new-{email}"
    page.goto(client.url())
    page.get_by_role("link", name="Sign up").click()
    signs_up(page, address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    tokens = client.tokens()
    page.goto(f"{server.origin}/authorize/account")
    sign_in(page, address)
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status")).to_contain_text("disconnected")
    assert not client.is_let_in(tokens)
    page.get_by_role("link", name="Change password").click()
    changes_password(page)
    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
    page.get_by_role("button", name="Sign out", exact=True).click()
    comes_to(page, "Sign in")
    sign_in(page, address, NEW_PASSWORD)
    comes_to(page, "Connected apps")
    keep_cookies(context)
    context.close()


def test_denying_consent_sends_access_denied_to_the_client(page: Page, client: LoopbackClient, email: str):
    page.goto(client.url())
    sign_in(page, email)
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_text(LANDED)).to_be_visible()
    assert client.answers[0]["error"] == "access_denied"


def test_the_client_on_loopback_gets_no_cookie_of_ours(page: Page, client: LoopbackClient, email: str):
    page.goto(client.url())
    sign_in(page, email)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    assert client.cookies == [""]


def test_a_client_that_opens_a_popup_is_answered_in_it(page: Page, client: LoopbackClient, email: str):
    """The callback needs `window.opener`, so no page on the way may cut the popup off."""
    page.route(
        "http://app.test/",
        lambda route: route.fulfill(content_type="text/html", body="<h1>A client in the browser</h1>"),
    )
    page.goto("http://app.test/")
    with page.expect_popup() as opened:
        page.evaluate("url => { window.popup = window.open(url); }", client.url())
    popup = opened.value
    sign_in(popup, email)
    allow(popup)
    expect(popup.get_by_text(LANDED)).to_be_visible()
    assert popup.evaluate("window.opener !== null")
    assert not page.evaluate("window.popup.closed")


def test_a_new_user_signs_up_during_an_authorization(page: Page, client: LoopbackClient, email: str):
    page.goto(client.url())
    page.get_by_role("link", name="Sign up").click()
    signs_up(page, f"new-{email}")
    page.get_by_label("Password").fill(PASSWORD)  # the address is still there
    page.get_by_role("button", name="Sign in").click()
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()


def test_an_app_is_seen_and_disconnected_by_keyboard(
    page: Page, server: Server, client: LoopbackClient, email: str
):
    page.goto(client.url())
    sign_in(page, email)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    tokens = client.tokens()
    page.goto(f"{server.origin}/authorize/account")
    sign_in(page, email)
    expect(page.get_by_text(client.client_id)).to_be_visible()
    tabs_to(page, "Disconnect")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("disconnected")
    assert not client.is_let_in(tokens)


def test_a_password_is_changed_by_keyboard_and_every_other_browser_signed_out(
    page: Page, browser: Browser, server: Server, email: str
):
    elsewhere = new_context(browser).new_page()
    for tab in (page, elsewhere):
        tab.goto(f"{server.origin}/authorize/account")
        sign_in(tab, email)
        comes_to(tab, "Connected apps")
    page.get_by_role("link", name="Change password").click()
    expect(page.get_by_label("Current password")).to_be_focused()
    for text in (PASSWORD, "a new password", "a new password"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    tabs_to(page, "Change password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
    elsewhere.reload()
    comes_to(elsewhere, "Sign in")
    elsewhere.context.close()


def tabs_to(page: Page, button: str) -> None:
    """Press Tab until the button has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if (
            page.evaluate("document.activeElement.tagName + document.activeElement.innerText")
            == f"BUTTON{button}"
        ):
            return
    raise AssertionError(f"no Tab leads to {button}")


def test_an_address_that_is_not_ascii_reaches_the_server_as_it_was_typed(page: Page, server: Server):
    """A field of type email refuses `ß` before the @, and changes it behind the @."""
    for address in ("straße@example.com", "ada@straße.example"):
        page.goto(f"{server.origin}/authorize/account")
        page.get_by_role("link", name="Sign up").click()
        signs_up(page, address)
        comes_to(page, "Sign in")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        comes_to(page, "Connected apps")
        expect(page.get_by_text(address).first).to_be_visible()
        page.context.clear_cookies()
