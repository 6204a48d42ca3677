"""Every page in every state, and how a person comes to see it."""

from collections.abc import Callable

from msgspec import Struct
from playwright.sync_api import Page, expect

from support.loopback_client import LANDED, LoopbackClient
from support.server import PASSWORD, Server
from support.visitors import allow, sign_in

WEBSITE = "https://client.example/callback"


class Visitor(Struct, frozen=True):
    page: Page
    server: Server
    client: LoopbackClient
    email: str

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
        self.page.goto(self.client.url())
        sign_in(self.page, self.email)
        expect(self.page.get_by_role("heading", name="Allow access?")).to_be_visible()

    def signs_up(self, address: str, password: str) -> None:
        self.goes_to("account")
        self.page.get_by_role("link", name="Sign up").click()
        self.page.get_by_label("E-mail address").fill(address)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_label("The same password again").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign up").click()

    def changes_password(self, old: str) -> None:
        self.is_home()
        self.page.get_by_role("link", name="Change password").click()
        self.page.get_by_label("Present password").fill(old)
        self.page.get_by_label("New password", exact=True).fill("another password")
        self.page.get_by_label("The same new password again").fill("another password")
        self.page.get_by_role("button", name="Change password").click()


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


def _signed_up(visitor: Visitor) -> None:
    visitor.signs_up(visitor.email, PASSWORD)


def _consent(visitor: Visitor) -> None:
    visitor.asks_to_consent()


def _home_without_apps(visitor: Visitor) -> None:
    visitor.is_home()


def _home(visitor: Visitor) -> None:
    visitor.has_connected()


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


GALLERY: dict[str, Callable[[Visitor], None]] = {
    "sign-in": _sign_in,
    "sign-in-refused": _sign_in_refused,
    "sign-in-to-the-account": _sign_in_to_the_account,
    "sign-up": _sign_up,
    "sign-up-refused": _sign_up_refused,
    "signed-up": _signed_up,
    "consent": _consent,
    "home-without-apps": _home_without_apps,
    "home": _home,
    "disconnected": _disconnected,
    "password": _password,
    "password-refused": _password_refused,
    "password-changed": _password_changed,
    "not-found": _not_found,
    "expired": _expired,
    "foreign-form": _foreign_form,
    "unknown-client": _unknown_client,
}
