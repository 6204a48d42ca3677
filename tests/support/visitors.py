"""What a person does on the pages, in a real browser."""

import re

from playwright.sync_api import Page, expect

from support.server import PASSWORD


def comes_to(page: Page, *headings: str) -> str:
    """Wait for a page with one of these headings, and tell which: a form answers in its time."""
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(re.compile(f"^({'|'.join(map(re.escape, headings))})$"))
    return heading.inner_text()


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def allow(page: Page) -> None:
    page.get_by_role("button", name="Allow").click()
