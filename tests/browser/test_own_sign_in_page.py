"""The sign-in page of an application that embeds the server, as in `examples/own_sign_in.py`: two tabs, the
back button, a form sent twice and lost cookies each end on a page that says what to do."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.visitor import signs_in_at_the_host
from support.loopback_client import LANDED, LoopbackClient, listening
from support.server import Server
from support.visitors import allow, comes_to, presses_twice


@pytest.fixture
def guest(host: Server) -> Iterator[LoopbackClient]:
    """A client of the application."""
    with listening(host.origin) as running:
        yield running


def at_consent(page: Page, guest: LoopbackClient) -> None:
    page.goto(guest.url())
    signs_in_at_the_host(page)
    comes_to(page, "Allow access?")


def test_two_tabs_at_the_hosts_page_are_both_answered(page: Page, guest: LoopbackClient):
    other = page.context.new_page()
    page.goto(guest.url(state="first"))
    other.goto(guest.url(state="second"))
    for tab in (page, other):
        signs_in_at_the_host(tab)
        comes_to(tab, "Allow access?")
    allow(page)
    allow(other)
    for tab in (page, other):
        expect(tab.get_by_text(LANDED)).to_be_visible()
    assert [answer["state"] for answer in guest.answers] == ["first", "second"]


def test_after_going_back_from_consent_the_user_signs_in_again_and_allows(page: Page, guest: LoopbackClient):
    at_consent(page, guest)
    page.go_back()
    if comes_to(page, "Sign in", "Allow access?") == "Sign in":
        signs_in_at_the_host(page)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()


def test_back_to_the_hosts_page_after_allowing_says_that_the_app_is_connected(
    page: Page, guest: LoopbackClient
):
    page.goto(guest.url())
    hosts_page = page.url
    signs_in_at_the_host(page)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
    guest.tokens()
    page.goto(hosts_page)
    signs_in_at_the_host(page)
    comes_to(page, "Already connected")
    page.get_by_role("link", name="See your account and your connected apps").click()
    comes_to(page, "Connected apps")


def test_the_hosts_form_sent_twice_comes_to_consent(page: Page, guest: LoopbackClient):
    page.goto(guest.url())
    signs_in_at_the_host(page, press=presses_twice)
    comes_to(page, "Allow access?")
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()


def test_the_hosts_page_says_what_to_do_about_lost_cookies(page: Page, guest: LoopbackClient):
    """The host shows its form again; the request is lost with its cookie."""
    page.goto(guest.url())
    page.context.clear_cookies()
    signs_in_at_the_host(page)
    expect(page.get_by_role("alert")).to_contain_text("sign in here")
    signs_in_at_the_host(page)
    comes_to(page, "This page has expired")
    expect(page.get_by_text("allow cookies for this site")).to_be_visible()
    expect(page.get_by_text("connect again")).to_be_visible()
    page.get_by_role("link", name="See your account and your connected apps").click()
    signs_in_at_the_host(page)
    comes_to(page, "Connected apps")


def test_a_user_who_loses_the_session_at_consent_signs_in_and_goes_on(page: Page, guest: LoopbackClient):
    at_consent(page, guest)
    page.context.clear_cookies(name=re.compile("-session-"))
    allow(page)
    comes_to(page, "This form cannot be used", "You are not signed in any more")
    page.get_by_role("link", name="Continue with the request").click()
    signs_in_at_the_host(page)
    allow(page)
    expect(page.get_by_text(LANDED)).to_be_visible()
