"""What a user does on the pages, in a real browser."""

import re

from playwright.sync_api import BrowserContext, Page, expect

from support.leaks import issued
from support.server import PASSWORD

NEW_PASSWORD = "quite another password"
issued("password", NEW_PASSWORD)


def comes_to(page: Page, *headings: str) -> str:
    """Wait for a page with one of these headings, and return its heading."""
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(re.compile(f"^({'|'.join(map(re.escape, headings))})$"))
    return heading.inner_text()


def keep_cookies(context: BrowserContext) -> None:
    """Register the secrets in the browser's cookies for the search for leaked secrets."""
    for cookie in context.cookies():
        if "-notice" not in cookie["name"]:  # one of our own words, no secret
            issued("cookie", cookie["value"].rpartition(".")[2])


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    keep_cookies(page.context)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def fills_sign_up(page: Page, email: str, password: str = PASSWORD) -> None:
    """Fill the form with `password`, and repeat it as `PASSWORD`, which may differ."""
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("The same password again").fill(PASSWORD)


def signs_up(page: Page, email: str, password: str = PASSWORD) -> None:
    fills_sign_up(page, email, password)
    page.get_by_role("button", name="Sign up").click()


def fills_password_change(page: Page, present: str = PASSWORD) -> None:
    page.get_by_label("Current password").fill(present)
    page.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
    page.get_by_label("The same new password again").fill(NEW_PASSWORD)


def changes_password(page: Page, present: str = PASSWORD) -> None:
    fills_password_change(page, present)
    page.get_by_role("button", name="Change password").click()


def presses_twice(page: Page, button: str) -> None:
    """Click twice, the second time before the answer to the first."""
    page.get_by_role("button", name=button).evaluate("button => { button.click(); button.click(); }")


def allow(page: Page) -> None:
    allowing = page.get_by_role("button", name="Allow")
    allowing.wait_for()
    keep_cookies(page.context)
    allowing.click()
