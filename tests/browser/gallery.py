"""Every page in every state, and how a person comes to see it."""

import secrets
from collections.abc import Callable

from playwright.sync_api import expect

from browser.visitor import WEBSITE, Visitor, signs_in_at_the_host
from support.loopback_client import LANDED, LoopbackClient, listening
from support.outages import writes_locked_out
from support.server import EMAIL, PASSWORD
from support.visitors import allow, changes_password, comes_to, sign_in, signs_up

PRIVATE_SCHEME = "com.example.editor:/callback"


def _front(visitor: Visitor) -> None:
    visitor.page.goto(visitor.server.origin)


def _sign_in(visitor: Visitor) -> None:
    visitor.page.goto(visitor.client.url())


def _sign_in_refused(visitor: Visitor) -> None:
    _sign_in(visitor)
    sign_in(visitor.page, visitor.email, "wrong")


def _sign_in_to_the_account(visitor: Visitor) -> None:
    visitor.goes_to("account")


def _sign_up(visitor: Visitor) -> None:
    visitor.goes_to("account")
    visitor.page.get_by_role("link", name="Sign up").click()


def _sign_up_refused(visitor: Visitor) -> None:
    visitor.signs_up(visitor.email, f"{PASSWORD}?")


def _sign_up_with_a_bad_address(visitor: Visitor) -> None:
    visitor.goes_to("account")
    visitor.page.get_by_role("link", name="Sign up").click()
    # As a browser sends it that checks no fields itself.
    visitor.page.locator("form").evaluate("form => { form.noValidate = true; }")
    signs_up(visitor.page, "ada.example.com")


def _signed_up(visitor: Visitor) -> None:
    visitor.signs_up(visitor.email, PASSWORD)


def _consent(visitor: Visitor) -> None:
    visitor.asks_to_consent()


def _consent_to_more(visitor: Visitor) -> None:
    visitor.asks_to_consent()
    allow(visitor.page)
    expect(visitor.page.get_by_text(LANDED)).to_be_visible()
    visitor.asks_to_consent(scope="openid email")


def _consent_to_the_same(visitor: Visitor) -> None:
    visitor.asks_to_consent()
    allow(visitor.page)
    expect(visitor.page.get_by_text(LANDED)).to_be_visible()
    visitor.asks_to_consent()


def _consent_for_a_website(visitor: Visitor) -> None:
    visitor.is_asked_by_an_app_at(WEBSITE)


def _consent_for_a_private_scheme(visitor: Visitor) -> None:
    visitor.is_asked_by_an_app_at(PRIVATE_SCHEME)


def _consent_at_a_host(visitor: Visitor) -> None:
    visitor.signs_in_at_the_host()


def _home_at_a_host(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.host.origin}/authorize/account")
    signs_in_at_the_host(visitor.page)
    expect(visitor.page.get_by_role("heading", name="Connected apps")).to_be_visible()


def _signed_in_at_a_host_of_another_origin(visitor: Visitor) -> None:
    visitor.is_a_member("another-member")
    expect(visitor.page.get_by_role("heading", name="You are signed in")).to_be_visible()


def _sign_in_again_at_a_host(visitor: Visitor) -> None:
    with LoopbackClient.of(visitor.member_host.origin, WEBSITE) as client:
        visitor.is_signed_in_as_a_member("hesitant", client)
    allow(visitor.page)
    expect(visitor.page.get_by_role("heading", name="Sign in again")).to_be_visible()


def _home_without_apps(visitor: Visitor) -> None:
    visitor.is_home()


def _home(visitor: Visitor) -> None:
    visitor.has_connected()


def _home_with_an_app_that_left(visitor: Visitor) -> None:
    visitor.asks_to_consent()
    allow(visitor.page)
    expect(visitor.page.get_by_text(LANDED)).to_be_visible()
    visitor.client.revoke(visitor.client.tokens()["refresh_token"])
    visitor.is_home()


def _home_with_a_disabled_app(visitor: Visitor) -> None:
    visitor.has_connected()
    for _ in range(2):
        with listening(visitor.server.origin) as client:
            visitor.is_asked_by(client)
            visitor.allows(client)
    visitor.is_home()
    # The one in the middle: apps that were connected in the same second stand in any order.
    disconnect = visitor.page.get_by_role("button", name="Disconnect", exact=True).nth(1)
    visitor.operator.disables_client(disconnect.get_attribute("value") or "")
    visitor.page.reload()


def _disconnected(visitor: Visitor) -> None:
    visitor.has_connected()
    visitor.page.get_by_role("button", name="Disconnect").click()


def _password(visitor: Visitor) -> None:
    visitor.is_home()
    visitor.page.get_by_role("link", name="Change password").click()


def _password_with_apps(visitor: Visitor) -> None:
    visitor.has_connected()
    visitor.page.get_by_role("link", name="Change password").click()


def _password_refused(visitor: Visitor) -> None:
    visitor.changes_password("wrong")


def _password_changed(visitor: Visitor) -> None:
    visitor.changes_password(PASSWORD)


def _password_changed_and_apps_disconnected(visitor: Visitor) -> None:
    visitor.has_connected()
    visitor.page.get_by_role("link", name="Change password").click()
    visitor.page.get_by_label("Disconnect all apps as well").check()
    changes_password(visitor.page)
    expect(visitor.page.get_by_role("status")).to_be_visible()


def _not_found(visitor: Visitor) -> None:
    visitor.goes_to("nothing/here")


def _expired(visitor: Visitor) -> None:
    visitor.goes_to("A" * 22)


def _cannot_go_on(visitor: Visitor) -> None:
    with LoopbackClient.of(visitor.server.origin, WEBSITE) as client:
        visitor.page.goto(client.url(scope="unknown"))


def _cannot_go_on_to_a_private_scheme(visitor: Visitor) -> None:
    with LoopbackClient.of(visitor.server.origin, PRIVATE_SCHEME) as client:
        visitor.page.goto(client.url(prompt="none"))


def _already_connected(visitor: Visitor) -> None:
    visitor.asks_to_consent()
    consent = visitor.page.url
    visitor.allows(visitor.client)
    visitor.page.goto(consent)
    sign_in(visitor.page, visitor.email)  # typed, it leads to the page where nobody is signed in
    comes_to(visitor.page, "Already connected")


def _answered_already(visitor: Visitor) -> None:
    """By another user of this browser; the client has not redeemed the code."""
    visitor.asks_to_consent()
    consent = visitor.page.url
    allow(visitor.page)
    expect(visitor.page.get_by_text(LANDED)).to_be_visible()
    visitor.page.goto(consent)
    sign_in(visitor.page, EMAIL)
    comes_to(visitor.page, "This request was answered already")


def _foreign_form(visitor: Visitor) -> None:
    visitor.asks_to_consent()
    visitor.page.locator("input[name=csrf_token]").first.evaluate("field => field.value = 'x'")
    allow(visitor.page)


def _unknown_client(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.server.origin}/authorize?client_id=glc_unknown")


def _client_disabled(visitor: Visitor) -> None:
    visitor.operator.disables_client(visitor.client.client_id)
    visitor.page.goto(visitor.client.url())


def _account_disabled(visitor: Visitor) -> None:
    """The same page as after a wrong password, so that it reveals no account."""
    visitor.operator.disables_account(visitor.email)
    visitor.goes_to("account")
    sign_in(visitor.page, visitor.email)
    expect(visitor.page.get_by_role("alert")).to_be_visible()


def _host_user_disabled(visitor: Visitor) -> None:
    """Names the reason: the host has signed this user in, and only they see it."""
    visitor.member_operator.disables_host_user("member-of-the-host")
    visitor.is_a_member("member-of-the-host")
    expect(visitor.page.get_by_role("heading", name="This account is disabled")).to_be_visible()


def _too_many_attempts(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.strict.origin}/authorize/account")
    for _ in range(2):
        sign_in(visitor.page, EMAIL, "wrong")
        if comes_to(visitor.page, "Sign in", "Too many attempts") != "Sign in":
            return
        expect(visitor.page.get_by_role("alert")).to_be_visible()


def _too_many_new_accounts(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.strict.origin}/authorize/account")
    for _ in range(2):
        visitor.page.get_by_role("link", name="Sign up").click()
        signs_up(visitor.page, f"{secrets.token_hex(4)}@example.com")
        if comes_to(visitor.page, "Sign in", "Too many new accounts") != "Sign in":
            return


def _broken(visitor: Visitor) -> None:
    """The host's own code fails while it is asked whether its user may allow this."""
    with LoopbackClient.of(visitor.member_host.origin, WEBSITE) as client:
        visitor.is_signed_in_as_a_member("unreadable", client)
    allow(visitor.page)
    expect(visitor.page.get_by_role("heading", name="Something went wrong here")).to_be_visible()


def _cannot_answer(visitor: Visitor) -> None:
    visitor.goes_to("account")
    with writes_locked_out(visitor.server):
        sign_in(visitor.page, visitor.email)
        comes_to(visitor.page, "This server cannot answer now")


GALLERY: dict[str, Callable[[Visitor], None]] = {
    "front": _front,
    "sign-in": _sign_in,
    "sign-in-refused": _sign_in_refused,
    "sign-in-to-the-account": _sign_in_to_the_account,
    "sign-up": _sign_up,
    "sign-up-refused": _sign_up_refused,
    "sign-up-with-a-bad-address": _sign_up_with_a_bad_address,
    "signed-up": _signed_up,
    "consent": _consent,
    "consent-to-more": _consent_to_more,
    "consent-to-the-same": _consent_to_the_same,
    "consent-for-a-website": _consent_for_a_website,
    "consent-for-a-private-scheme": _consent_for_a_private_scheme,
    "consent-at-a-host": _consent_at_a_host,
    "home-at-a-host": _home_at_a_host,
    "signed-in-at-a-host-of-another-origin": _signed_in_at_a_host_of_another_origin,
    "sign-in-again-at-a-host": _sign_in_again_at_a_host,
    "home-without-apps": _home_without_apps,
    "home": _home,
    "home-with-an-app-that-left": _home_with_an_app_that_left,
    "home-with-a-disabled-app": _home_with_a_disabled_app,
    "disconnected": _disconnected,
    "password": _password,
    "password-with-apps": _password_with_apps,
    "password-refused": _password_refused,
    "password-changed": _password_changed,
    "password-changed-and-apps-disconnected": _password_changed_and_apps_disconnected,
    "not-found": _not_found,
    "expired": _expired,
    "cannot-go-on": _cannot_go_on,
    "cannot-go-on-to-a-private-scheme": _cannot_go_on_to_a_private_scheme,
    "already-connected": _already_connected,
    "answered-already": _answered_already,
    "foreign-form": _foreign_form,
    "unknown-client": _unknown_client,
    "client-disabled": _client_disabled,
    "account-disabled": _account_disabled,
    "host-user-disabled": _host_user_disabled,
    "too-many-attempts": _too_many_attempts,
    "too-many-new-accounts": _too_many_new_accounts,
    "broken": _broken,
    "cannot-answer": _cannot_answer,
}
