"""What a person does on the pages, in a real browser."""

from playwright.sync_api import Page

from support.server import PASSWORD


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def allow(page: Page) -> None:
    page.get_by_role("button", name="Allow").click()
