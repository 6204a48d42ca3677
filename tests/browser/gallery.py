"""Every page in every state, and how a person comes to see it."""

from collections.abc import Callable

from msgspec import Struct
from playwright.sync_api import Page, expect

from browser.operator_at_hand import Operator
from support.loopback_client import LANDED, LoopbackClient
from support.outages import nobody_may_write
from support.server import EMAIL, PASSWORD, Server
from support.visitors import allow, changes_password, comes_to, sign_in, signs_up

WEBSITE = "https://client.example/callback"
PRIVATE_SCHEME = "com.example.editor:/callback"
HOST_PASSWORD = "the host prints it"


class Visitor(Struct, frozen=True):
    """`operator` runs the server; `host` has users and a sign-in page of its own; `strict` counts guesses.

    `member_host` has users of its own too, and `member_operator` runs it.
    """

    page: Page
    server: Server
    client: LoopbackClient
    email: str
    operator: Operator
    host: Server
    member_host: Server
    member_operator: Operator
    strict: Server

    def goes_to(self, path: str) -> None:
        self.page.goto(f"{self.server.origin}/authorize/{path}")

    def is_home(self) -> None:
        self.goes_to("account")
        sign_in(self.page, self.email)
        expect(self.page.get_by_role("heading", name="Connected apps")).to_be_visible()

    def has_connected(self) -> None:
        self.asks_to_consent()
        allow(self.page)
        expect(self.page.get_by_text(LANDED)).to_be_visible()
        self.client.tokens()
        self.goes_to("account")

    def asks_to_consent(self) -> None:
        self.is_asked_by(self.client)

    def is_asked_by(self, client: LoopbackClient) -> None:
        self.page.goto(client.url())
        sign_in(self.page, self.email)
        expect(self.page.get_by_role("heading", name="Allow access?")).to_be_visible()

    def is_asked_by_an_app_at(self, redirect_uri: str) -> None:
        with LoopbackClient.of(self.server.origin, redirect_uri) as client:
            self.is_asked_by(client)

    def signs_in_at_the_host(self) -> None:
        """As `examples/own_sign_in.py` has it."""
        with LoopbackClient.of(self.host.origin, WEBSITE) as client:
            self.page.goto(client.url())
        self.page.get_by_label("Name").fill("grace")
        self.page.get_by_label("Password").fill(HOST_PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Allow access?")).to_be_visible()

    def signs_up(self, address: str, password: str) -> None:
        self.goes_to("account")
        self.page.get_by_role("link", name="Sign up").click()
        signs_up(self.page, address, password)

    def changes_password(self, old: str) -> None:
        self.is_home()
        self.page.get_by_role("link", name="Change password").click()
        changes_password(self.page, old)


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


def _consent_for_a_website(visitor: Visitor) -> None:
    visitor.is_asked_by_an_app_at(WEBSITE)


def _consent_for_a_private_scheme(visitor: Visitor) -> None:
    visitor.is_asked_by_an_app_at(PRIVATE_SCHEME)


def _consent_at_a_host(visitor: Visitor) -> None:
    visitor.signs_in_at_the_host()


def _home_at_a_host(visitor: Visitor) -> None:
    visitor.signs_in_at_the_host()
    visitor.page.goto(f"{visitor.host.origin}/authorize/account")


def _home_without_apps(visitor: Visitor) -> None:
    visitor.is_home()


def _home(visitor: Visitor) -> None:
    visitor.has_connected()


def _home_with_an_app_that_left(visitor: Visitor) -> None:
    visitor.asks_to_consent()
    allow(visitor.page)
    expect(visitor.page.get_by_text(LANDED)).to_be_visible()
    visitor.client.revoke(visitor.client.tokens()["refresh_token"])
    visitor.goes_to("account")


def _disconnected(visitor: Visitor) -> None:
    visitor.has_connected()
    visitor.page.get_by_role("button", name="Disconnect").click()


def _password(visitor: Visitor) -> None:
    visitor.is_home()
    visitor.page.get_by_role("link", name="Change password").click()


def _password_refused(visitor: Visitor) -> None:
    visitor.changes_password("wrong")


def _password_changed(visitor: Visitor) -> None:
    visitor.changes_password(PASSWORD)


def _not_found(visitor: Visitor) -> None:
    visitor.goes_to("nothing/here")


def _expired(visitor: Visitor) -> None:
    visitor.goes_to("A" * 16)


def _foreign_form(visitor: Visitor) -> None:
    visitor.asks_to_consent()
    visitor.page.locator("input[name=csrf_token]").first.evaluate("field => field.value = 'x'")
    allow(visitor.page)


def _unknown_client(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.server.origin}/authorize?client_id=glc_unknown")


def _account_disabled(visitor: Visitor) -> None:
    """Told no more than after a wrong password: whether there is such an account is nobody's business."""
    visitor.operator.disables_account(visitor.email)
    visitor.goes_to("account")
    sign_in(visitor.page, visitor.email)
    expect(visitor.page.get_by_role("alert")).to_be_visible()


def _host_user_disabled(visitor: Visitor) -> None:
    """Told, since the host has signed them in: only they see it."""
    visitor.member_operator.disables_host_user("member-of-the-host")
    visitor.page.context.add_cookies(
        [{"name": "host_session", "value": "member-of-the-host", "url": visitor.member_host.origin}]
    )
    visitor.page.goto(f"{visitor.member_host.origin}/authorize/account")
    expect(visitor.page.get_by_role("heading", name="This account is disabled")).to_be_visible()


def _too_many_attempts(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.strict.origin}/authorize/account")
    for _ in range(2):
        sign_in(visitor.page, EMAIL, "wrong")
        if comes_to(visitor.page, "Sign in", "Too many attempts") != "Sign in":
            return
        expect(visitor.page.get_by_role("alert")).to_be_visible()


def _cannot_answer(visitor: Visitor) -> None:
    visitor.goes_to("account")
    with nobody_may_write(visitor.server):
        sign_in(visitor.page, visitor.email)
        comes_to(visitor.page, "This server cannot answer now")


GALLERY: dict[str, Callable[[Visitor], None]] = {
    "sign-in": _sign_in,
    "sign-in-refused": _sign_in_refused,
    "sign-in-to-the-account": _sign_in_to_the_account,
    "sign-up": _sign_up,
    "sign-up-refused": _sign_up_refused,
    "sign-up-with-a-bad-address": _sign_up_with_a_bad_address,
    "signed-up": _signed_up,
    "consent": _consent,
    "consent-for-a-website": _consent_for_a_website,
    "consent-for-a-private-scheme": _consent_for_a_private_scheme,
    "consent-at-a-host": _consent_at_a_host,
    "home-at-a-host": _home_at_a_host,
    "home-without-apps": _home_without_apps,
    "home": _home,
    "home-with-an-app-that-left": _home_with_an_app_that_left,
    "disconnected": _disconnected,
    "password": _password,
    "password-refused": _password_refused,
    "password-changed": _password_changed,
    "not-found": _not_found,
    "expired": _expired,
    "foreign-form": _foreign_form,
    "unknown-client": _unknown_client,
    "account-disabled": _account_disabled,
    "host-user-disabled": _host_user_disabled,
    "too-many-attempts": _too_many_attempts,
    "cannot-answer": _cannot_answer,
}
