"""The user at the browser: signs in, reads the consent page, and allows or denies."""

from grantledger.entrypoints.demo.browser import Arrival, Browser
from grantledger.entrypoints.demo.client import CLIENT_NAME
from grantledger.entrypoints.demo.pages import HtmlPage
from grantledger.entrypoints.demo.steps import Steps, expect

SIGN_IN = "Sign in"
CONSENT = "Allow access?"
LOOPBACK_WARNING = "This address is on your own computer."
SELF_REGISTERED_WARNING = "This application registered itself."


class Person:
    """A user with an account, whose client opens a URL in the browser."""

    def __init__(self, browser: Browser, steps: Steps, email: str, password: str) -> None:
        self._browser = browser
        self._steps = steps
        self._email = email
        self._password = password

    async def allow(self, url: str, *, resource: str, scope_in_words: str) -> Arrival:
        """Sign in, read the consent page, and allow."""
        with self._steps.step("sign in") as step:
            page = await self._sign_in(url)
            step.seen = f"{self._email}, through the page's form"
        with self._steps.step("consent") as step:
            text = _page(page, CONSENT).text
            for name, words in {
                "who asks": CLIENT_NAME,
                "as whom": self._email,
                "the redirect host": "Access is sent to 127.0.0.1",
                "the scope in words": scope_in_words,
                "the resource": resource,
                "the warning about loopback": LOOPBACK_WARNING,
                "the warning about self-registered clients": SELF_REGISTERED_WARNING,
            }.items():
                expect(f"{name} on the page: {words!r}", words in text, came=text)
            arrival = await self._press("Allow", page)
            step.seen = "client, host, scope, resource, two warnings; allowed"
        return arrival

    async def allow_more(self, url: str, *, new: str, before: str) -> Arrival:
        """Sign in again, read what is new on the consent page, and allow."""
        page = await self._sign_in(url)
        _, _, lists = page.text.partition("New: it may also")
        new_list, _, old_list = lists.partition("You have allowed before")
        expect(f"only {new} as new", new in new_list and before not in new_list, came=page.text)
        expect(f"{before} as allowed before", before in old_list, came=page.text)
        return await self._press("Allow", page)

    async def deny(self, url: str) -> Arrival:
        """Sign in again, which loopback requires for each authorization, and deny on the consent page."""
        return await self._press("Deny", await self._sign_in(url))

    async def _press(self, button: str, page: HtmlPage) -> Arrival:
        arrival = await self._browser.press(button, page)
        expect("a redirect to the client", isinstance(arrival, Arrival), came=_described(arrival))
        assert isinstance(arrival, Arrival)
        return arrival

    async def _sign_in(self, url: str) -> HtmlPage:
        page = _page(await self._browser.open(url), SIGN_IN)
        expect("the client's name on the page", CLIENT_NAME in page.text, came=page.text)
        after = await self._browser.press("Sign in", page, email=self._email, password=self._password)
        return _page(after, CONSENT)


def _page(seen: HtmlPage | Arrival, heading: str) -> HtmlPage:
    expect(
        f"the page {heading!r}", isinstance(seen, HtmlPage) and seen.heading == heading, came=_described(seen)
    )
    assert isinstance(seen, HtmlPage)
    return seen


def _described(seen: HtmlPage | Arrival) -> str:
    return f"a redirect to {seen.url}" if isinstance(seen, Arrival) else f"{seen.status}: {seen.text}"
