"""Where the pages of a session are, and which requests may reach them.

On a loopback issuer, browsers send cookies to every port of the host, over http and https, and every port can
set cookies for all the others. So the pages of a session are below a random segment of the path, and a
cookie counts only together with that segment (ADR 0036).
"""

import re
from typing import Any

from litestar import Response
from msgspec import Struct

from grantledger.adapters.asgi_types import ASGIApp, Receive, Scope, Send
from grantledger.adapters.http.errors import FormForeign
from grantledger.adapters.http.pages.responses import redirect
from grantledger.adapters.http.parameters import header_value, header_values
from grantledger.adapters.http.responses import AnyRequest
from grantledger.domain.absolute_uri import parse

SEGMENT_LENGTH = 22
"""So many characters of base64url hold at least 128 random bits."""

_BELOW = re.compile(rf"/s/([A-Za-z0-9_-]{{{SEGMENT_LENGTH}}})(?=/)")
_SEGMENT = "grantledger.home"


class Home(Struct, frozen=True):
    """The path under which the pages of one session are.

    `segment` is empty for the root. On a loopback issuer nobody is signed in at the root.
    """

    path: str
    segment: str = ""


class Homes:
    """The homes of all sessions: on loopback one below `root` for each session, otherwise `root` itself."""

    def __init__(self, issuer: str) -> None:
        uri = parse(issuer)
        self.root = Home(f"{uri.path.rstrip('/')}/authorize")
        self.on_loopback = uri.is_this_machine
        self._origin = uri.origin
        self._host = uri.origin.partition("://")[2]

    def below(self, segment: str) -> Home:
        return Home(f"{self.root.path}/s/{segment}", segment)

    def of(self, request: AnyRequest) -> Home:
        """Return the home in the URL of the request, as `with_homes` found it."""
        segment = str(dict(request.scope).get(_SEGMENT, ""))
        return self.below(segment) if segment else self.root

    @property
    def routes(self) -> list[str]:
        """The paths of the pages below a home, with parameters in braces."""
        below = f"{self.root.path}/s/{{home:str}}/{{segment:str}}"
        return [below, f"{below}/{{form:str}}"] if self.on_loopback else []

    def with_homes(self, app: ASGIApp) -> ASGIApp:
        """Remove the random segment from the path before routing, and keep it in the scope."""
        root = self.root.path

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            path: str = scope["path"] if scope["type"] == "http" else ""
            found = _BELOW.match(path, len(root)) if path.startswith(root) else None
            if found is None:
                await app(scope, receive, send)
                return
            below = {**scope, "path": root + path[found.end() :], _SEGMENT: found[1]}
            try:
                await app(below, receive, send)
            finally:
                scope["path_template"] = below.get("path_template")

        return handle if self.on_loopback else app

    def elsewhere(self, request: AnyRequest) -> str | None:
        """On loopback, return the same URL at the issuer's origin if the request has another `Host`.

        Otherwise return None. Browsers keep cookies per host name, and another name may lead to another
        program.
        """
        if not self.on_loopback or (header_value(request.scope, b"host") or "").lower() == self._host:
            return None
        query = request.scope["query_string"].decode("latin-1")
        path = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1")
        return f"{self._origin}{path.partition('?')[0]}{f'?{query}' if query else ''}"

    async def guard(self, request: AnyRequest) -> Response[bytes] | None:
        """Return None if the request may proceed, or a redirect. Runs before cookies and body are read.

        A form must come from our origin. So must a GET below a random segment: another port could sign in
        itself, plant the cookies of that session in the browser, and send the browser to its pages. Raises
        `FormForeign`.
        """
        site = header_value(request.scope, b"sec-fetch-site")
        if request.method == "POST":
            self._check_form(request, site)
            return None
        if (url := self.elsewhere(request)) is not None:
            return redirect(url)
        home = self.of(request)
        if not home.segment or site in (None, "same-origin"):
            return None
        page = request.scope["path"].removeprefix(self.root.path).strip("/").partition("/")[0]
        return redirect(f"{self.root.path}/{page}")

    def _check_form(self, request: AnyRequest, site: str | None) -> None:
        """Check the fetch metadata or, without it, the `Origin`, which browsers send with every POST."""
        origin = header_value(request.scope, b"origin")
        own = origin == self._origin if site is None else site == "same-origin"
        if not own:
            raise FormForeign("sent from another origin")
        if self.elsewhere(request) is not None:
            raise FormForeign("sent to another name of this machine")


_COOKIES = "grantledger.cookies"
_SPACE = " \t"
"""What may surround a name. `str.strip` also removes the bytes 0x85 and 0xA0. But browsers let a neighbour
domain set a cookie whose name is one of these bytes and then `__Host-...`.
"""


def sent_cookies(request: AnyRequest) -> dict[str, str]:
    """Return the cookies of the request, without those whose name is sent more than once.

    Two cookies of one name have different paths, and the header does not say which one is ours.
    """
    scope: dict[str, Any] = request.scope  # type: ignore[assignment]
    known: dict[str, str] | None = scope.get(_COOKIES)
    if known is not None:
        return known
    cookies: dict[str, str] = {}
    repeated: set[str] = set()
    for header in header_values(scope, b"cookie"):
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            name = name.strip(_SPACE)
            if name in cookies:
                repeated.add(name)
            cookies[name] = value.strip(_SPACE)
    found = {name: value for name, value in cookies.items() if name not in repeated}
    scope[_COOKIES] = found
    return found
