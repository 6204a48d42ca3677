"""What the tests of the pages share: their headings, and cookies as browsers keep them."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import Morsel, SimpleCookie

import httpx2

from support.oauth import Person
from support.server import Server

SIGN_IN = (200, "Sign in")
SIGN_IN_AGAIN = (400, "Sign in")
CONSENT = (200, "Allow access?")
FOREIGN = (403, "This form cannot be used")
LOST = (400, "This page has expired")
CONNECTED = (200, "Already connected")
SPENT = (400, "This request was answered already")
UNREADABLE = (400, "This request cannot be read")
SIGNED_OUT = (403, "You are not signed in any more")
REQUEST = "__Host-grantledger-request-"


def cookies_set(answer: httpx2.Response) -> dict[str, Morsel[str]]:
    morsels: dict[str, Morsel[str]] = {}
    for header in answer.headers.get_list("set-cookie"):
        morsels |= SimpleCookie(header)
    return morsels


def leave_link(page: httpx2.Response) -> str | None:
    """Return where the page "The application cannot go on" leads, None on another page."""
    found = re.search(r'<a href="([^"]+)" rel="noreferrer">', page.text)
    return None if found is None else html.unescape(found[1])


def pending_requests(person: Person) -> list[str]:
    return [name for name in person.cookies() if name.startswith(REQUEST)]


@asynccontextmanager
async def as_it_was(person: Person, server: Server) -> AsyncIterator[Person]:
    """Return a browser with a copy of the cookies that `person` has now."""
    copy = Person.at(server.origin)
    for cookie in person.http.cookies.jar:
        copy.http.cookies.jar.set_cookie(cookie)
    yield copy
    await copy.http.aclose()
