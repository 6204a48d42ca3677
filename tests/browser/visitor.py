"""A user with a browser, and the servers that they visit."""

from collections.abc import Callable

from msgspec import Struct
from playwright.sync_api import Page, expect

from browser.browser_operator import Operator
from support.loopback_client import LANDED, LoopbackClient
from support.server import Server
from support.visitors import allow, changes_password, sign_in, signs_up

WEBSITE = "https://client.example/callback"
HOST_PASSWORD = "the host prints it"


def presses(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()


def signs_in_at_the_host(page: Page, press: Callable[[Page, str], None] = presses) -> None:
    """As `examples/own_sign_in.py` has it."""
    page.get_by_label("Name").fill("grace")
    page.get_by_label("Password").fill(HOST_PASSWORD)
    press(page, "Sign in")


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
        self.allows(self.client)
        self.is_home()

    def allows(self, client: LoopbackClient) -> None:
        allow(self.page)
        expect(self.page.get_by_text(LANDED)).to_be_visible()
        client.tokens()

    def asks_to_consent(self, **parameters: str) -> None:
        self.is_asked_by(self.client, **parameters)

    def is_asked_by(self, client: LoopbackClient, **parameters: str) -> None:
        self.page.goto(client.url(**parameters))
        sign_in(self.page, self.email)
        expect(self.page.get_by_role("heading", name="Allow access?")).to_be_visible()

    def is_asked_by_an_app_at(self, redirect_uri: str) -> None:
        with LoopbackClient.of(self.server.origin, redirect_uri) as client:
            self.is_asked_by(client)

    def signs_in_at_the_host(self) -> None:
        with LoopbackClient.of(self.host.origin, WEBSITE) as client:
            self.page.goto(client.url())
        signs_in_at_the_host(self.page)
        expect(self.page.get_by_role("heading", name="Allow access?")).to_be_visible()

    def is_a_member(self, host_user_id: str) -> None:
        """As `support/host_program.py` has it."""
        self.page.context.add_cookies(
            [{"name": "host_session", "value": host_user_id, "url": self.member_host.origin}]
        )
        self.page.goto(f"{self.member_host.origin}/authorize/account")

    def is_signed_in_as_a_member(self, host_user_id: str, client: LoopbackClient) -> None:
        """Come to the consent page of the host's client."""
        self.page.context.add_cookies(
            [{"name": "host_session", "value": host_user_id, "url": self.member_host.origin}]
        )
        self.page.goto(client.url())
        self.page.get_by_role("link", name="Continue").click()
        expect(self.page.get_by_role("heading", name="Allow access?")).to_be_visible()

    def signs_up(self, address: str, password: str) -> None:
        self.goes_to("account")
        self.page.get_by_role("link", name="Sign up").click()
        signs_up(self.page, address, password)

    def changes_password(self, old: str) -> None:
        self.is_home()
        self.page.get_by_role("link", name="Change password").click()
        changes_password(self.page, old)
