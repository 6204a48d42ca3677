"""A browser without scripts: it keeps cookies, follows redirects, fills in forms and presses buttons."""

import html
import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs, urljoin, urlsplit

from bench.connection import Connection, Response, Unexpected, get, post_form

STEPS = 16
"""The number of requests after which a walk counts as endless."""

_FORM = re.compile(r"<form([^>]*)>(.*?)</form>", re.DOTALL)
_INPUT = re.compile(r"<input([^>]*)>")
_BUTTON = re.compile(r"<button([^>]*)>(.*?)</button>", re.DOTALL)
_LINK = re.compile(r"<a([^>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)(?:="([^"]*)")?')


class Form(NamedTuple):
    """Where a form goes, its fields (name, type, value) and its named buttons (name, value, label)."""

    action: str
    inputs: list[tuple[str, str, str]]
    buttons: list[tuple[str, str, str]]

    def has(self, kind: str) -> bool:
        return any(of == kind for _, of, _ in self.inputs)


class Page(NamedTuple):
    forms: list[Form]
    links: list[str]


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): html.unescape(value) for name, value in _ATTRIBUTE.findall(text)}


def page_of(text: str) -> Page:
    """Return the forms and links of a page."""
    forms = []
    for attributes, inside in _FORM.findall(text):
        inputs = [_attributes(found) for found in _INPUT.findall(inside)]
        buttons = [(_attributes(found), label) for found, label in _BUTTON.findall(inside)]
        forms.append(
            Form(
                _attributes(attributes).get("action", ""),
                [(i["name"], i.get("type", "text"), i.get("value", "")) for i in inputs if "name" in i],
                [(b["name"], b.get("value", ""), label) for b, label in buttons if "name" in b],
            )
        )
    links = [_attributes(found).get("href", "") for found in _LINK.findall(text)]
    return Page(forms, links)


class CookieJar:
    """The cookies of one browser at one server, each sent to the paths below its own."""

    def __init__(self) -> None:
        # By path, because a browser may hold thousands: one for each authorization on loopback.
        self._cookies: dict[str, dict[str, str]] = {}

    def take(self, response: Response) -> None:
        for line in response.cookies():
            pair, *attributes = (part.strip() for part in line.split(";"))
            name, _, value = pair.partition("=")
            known = {key.lower(): word for key, _, word in (each.partition("=") for each in attributes)}
            at = self._cookies.setdefault(known.get("path", "/"), {})
            if value in {"", '""'} or known.get("max-age") == "0":
                at.pop(name, None)
            else:
                at[name] = value

    def header(self, path: str) -> dict[str, str]:
        """Return the Cookie header for a path, or nothing."""
        sent = [
            f"{name}={value}"
            for above in _covering(path)
            for name, value in self._cookies.get(above, {}).items()
        ]
        return {"Cookie": "; ".join(sent)} if sent else {}


def _covering(path: str) -> list[str]:
    """Return the cookie paths that match a path: itself and all above it (RFC 6265 section 5.1.4)."""
    above = [path[: at + end] for at, sign in enumerate(path) if sign == "/" for end in (0, 1)]
    return [*dict.fromkeys((path, *above))]


class Browser:
    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._host = urlsplit(origin).netloc
        self.jar = CookieJar()

    async def get(self, connection: Connection, target: str) -> Response:
        headers = {"Accept": "text/html,application/xhtml+xml", **self._cookies(target)}
        response = await connection.request(get(self._host, target, headers))
        self.jar.take(response)
        return response

    async def post(self, connection: Connection, target: str, form: dict[str, str]) -> Response:
        headers = {
            "Accept": "text/html,application/xhtml+xml",
            "Origin": self._origin,
            "Sec-Fetch-Site": "same-origin",
            **self._cookies(target),
        }
        response = await connection.request(post_form(self._host, target, form, headers))
        self.jar.take(response)
        return response

    async def walk(
        self, connection: Connection, target: str, fill: Callable[[Page], tuple[str, dict[str, str]] | str]
    ) -> str:
        """Go on from page to page until a redirect carries a code, and return that.

        `fill` gets each page and says which form to send (its action and fields) or which link to follow.
        """
        response = await self.get(connection, target)
        for _ in range(STEPS):
            location = response.header(b"location")
            if location is not None:
                if code := code_in(location):
                    return code
                target = self._target(urljoin(self._origin + target, location))
                response = await self.get(connection, target)
                continue
            if response.status != 200:
                raise Unexpected("a page", response)
            chosen = fill(page_of(response.body.decode()))
            if isinstance(chosen, str):
                target = self._target(urljoin(self._origin + target, chosen))
                response = await self.get(connection, target)
            else:
                action, form = chosen
                target = self._target(urljoin(self._origin + target, action))
                response = await self.post(connection, target, form)
        raise Unexpected("the pages go in circles", response)

    def _target(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.netloc != self._host:
            raise ValueError(f"a redirect leaves the server: {url}")
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def _cookies(self, target: str) -> dict[str, str]:
        return self.jar.header(target.partition("?")[0])


def code_in(location: str) -> str | None:
    """Return the authorization code that a redirect carries, if it does."""
    return parse_qs(urlsplit(location).query).get("code", [None])[0]
