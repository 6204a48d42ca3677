"""An OAuth client and a browser by hand, in which a test can make every parameter of every request wrong."""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx2
from msgspec import Struct

from support.leaks import issued
from support.server import EMAIL, PASSWORD
from support.timeouts import TIMEOUT

REDIRECT_URI = "https://claude.ai/api/mcp/auth_callback"
"""The redirect URI of a well-known client: errors are redirected there even before the user has clicked."""

SESSION_COOKIE = "__Host-grantledger-session"
"""The name of the session cookie if the issuer has a host of its own."""

VERIFIER = "verifier-verifier-verifier-verifier-verifier"
issued("PKCE verifier", VERIFIER)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Person:
    """A client's view of the server and a person's browser, over one HTTP connection pool."""

    signs_in = False
    """Whether `asked` fills in the sign-in page that a client's request leads to."""

    def __init__(
        self, origin: str, http: httpx2.AsyncClient, base: str = "", password: str = PASSWORD
    ) -> None:
        self.origin = origin
        self.http = http
        self.http.headers["sec-fetch-site"] = "same-origin"  # as after a click on one of our pages
        self.base = base
        self._password = password

    @classmethod
    def at(cls, origin: str, *, base: str = "", password: str = PASSWORD) -> Self:
        """Return a new browser, which sends secure cookies too, as if a proxy ended TLS."""
        # Shorter than the 5 s of the server, which may close a connection while a request is on its way.
        limits = httpx2.Limits(max_connections=64, keepalive_expiry=2)
        # There is no TLS here, and to read all root certificates takes longer than most tests.
        http = httpx2.AsyncClient(base_url=origin, timeout=TIMEOUT, limits=limits, verify=False)

        async def keep(answer: httpx2.Response) -> None:
            for value in answer.headers.get_list("set-cookie"):
                name, _, secret = value.partition(";")[0].partition("=")
                # The secret of a session's cookie is its second half. A notice is no secret.
                # A deleted cookie has an empty value, written as two quotation marks.
                if "-notice" not in name and "max-age=0" not in value.lower():
                    issued("cookie", secret.rpartition(".")[2])
            for cookie in http.cookies.jar:
                cookie.secure = False

        http.event_hooks = {"request": [], "response": [keep]}
        return cls(origin, http, base, password)

    async def register(self, **metadata: Any) -> dict[str, Any]:
        """Register a client, by default a public one with a name of its own."""
        asked = {
            "client_name": f"Test client {secrets.token_hex(4)}",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        answer = await self.http.post(f"{self.base}/register", json={**asked, **metadata})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def authorize(self, client_id: str, /, **parameters: str | None) -> httpx2.Response:
        """Send the browser to /authorize; a parameter of None is left out."""
        return await self.http.get(f"{self.base}/authorize", params=query(client_id, **parameters))

    async def asked(self, client_id: str, /, **parameters: str | None) -> httpx2.Response:
        """Send the browser to /authorize and return the page it ends at, or the redirect that leaves."""
        page = await self.followed(await self.authorize(client_id, **parameters))
        if self.signs_in and '/sign-in"' in page.text and parameters.get("prompt") != "login":
            return await self.sign_in(page)
        return page

    async def sign_in(
        self, page: httpx2.Response, *, email: str = EMAIL, password: str | None = None
    ) -> httpx2.Response:
        """Fill in the sign-in page, and return the page that follows."""
        return await self.submit(
            page, "sign-in", email=email, password=self._password if password is None else password
        )

    async def submit(self, page: httpx2.Response, form: str, **filled: str) -> httpx2.Response:
        return await self.followed(await self.post(page, form, **filled))

    async def post(self, page: httpx2.Response, form: str, **filled: str) -> httpx2.Response:
        """Send a form of the page with its CSRF token, or another one that is given."""
        fields = {"csrf_token": csrf_token(page), **filled}
        return await self.http.post(f"{transaction_url(page)}/{form}", data=fields)

    async def followed(self, answer: httpx2.Response) -> httpx2.Response:
        """Follow redirects within the server; return the page, or the redirect that leaves it."""
        while (target := answer.headers.get("location")) and target.startswith(("/", self.origin)):
            answer = await self.http.get(target)
        return answer

    def session_cookie(self) -> str:
        """Return the value of the cookie that keeps the browser signed in, "" without one."""
        name = SESSION_COOKIE.removeprefix("__Host-")
        return next((value for key, value in self.cookies().items() if name in key), "")

    def cookies(self) -> dict[str, str]:
        """Return all cookies that the browser holds, by name."""
        return {cookie.name: cookie.value or "" for cookie in self.http.cookies.jar}

    async def code(self, client_id: str, /, *, email: str = EMAIL, **parameters: str | None) -> str:
        """Do all that a person does for a client, and return the code."""
        answer = await self.asked(client_id, **parameters)
        if "/sign-in" in answer.text:
            answer = await self.sign_in(answer, email=email)
        if "location" not in answer.headers:
            answer = await self.submit(answer, "consent", decision="allow")
        return returned(answer)["code"]

    async def token(self, **form: str) -> httpx2.Response:
        return await self.http.post(f"{self.base}/token", data=form)

    async def redeem(self, client_id: str, code: str, **form: str) -> httpx2.Response:
        return await self.token(**{**redemption(client_id, code), **form})

    async def refresh(self, client_id: str, refresh_token: str, **form: str) -> httpx2.Response:
        asked = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
        return await self.token(**{**asked, **form})

    async def revoke(self, client_id: str, token: str, **form: str) -> httpx2.Response:
        return await self.http.post(
            f"{self.base}/revoke", data={"client_id": client_id, "token": token, **form}
        )

    async def tokens(
        self, client_id: str, /, *, email: str = EMAIL, **parameters: str | None
    ) -> dict[str, Any]:
        """Return the first tokens of a new grant."""
        answer = await self.redeem(client_id, await self.code(client_id, email=email, **parameters))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def session(self, access_token: str, **query: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {access_token}"}
        return await self.http.get(f"{self.base}/session", headers=headers, params=query)


class LongAgo(Struct, frozen=True):
    """Responses of a server after an expiry, each to a grant, code or session of its own."""

    first_use: httpx2.Response
    used_again: httpx2.Response
    never_used: httpx2.Response
    used_in_time: httpx2.Response
    code: httpx2.Response
    access_token: httpx2.Response
    browser: httpx2.Response


def query(client_id: str, /, **parameters: str | None) -> dict[str, str]:
    """Return the query of a correct authorization request, except for the parameters that are given."""
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT_URI,
        "state": "the-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**asked, **parameters}.items() if value is not None}


def redemption(client_id: str, code: str) -> dict[str, str]:
    """Return the form that redeems a code."""
    return {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": REDIRECT_URI,
    }


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header of client_secret_basic, without percent-encoding."""
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def csrf_token(page: httpx2.Response) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    issued("form token", found[1])
    return found[1]


def transaction_url(page: httpx2.Response) -> str:
    """Return the URL of the authorization request that the page is about."""
    found = re.match(r".*/authorize/(s/[A-Za-z0-9_-]{22}/)?[A-Za-z0-9_-]+", page.url.path)
    assert found, page.url
    return found[0]


def returned(answer: httpx2.Response) -> dict[str, str]:
    """Return the parameters with which the browser was sent back to the client. None may appear twice."""
    assert answer.status_code == 303, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values()), query
    return {name: values[0] for name, values in query.items()}


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and error code of a refusal that has the form of RFC 6749 section 5.2."""
    assert answer.headers["content-type"] == "application/json", answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert body["error_description"]
    return answer.status_code, body["error"]


def heading_of(page: httpx2.Response) -> tuple[int, str]:
    """Return status and heading of a page; check that it may not be cached or framed."""
    assert page.headers["content-type"] == "text/html; charset=utf-8", page.text
    assert "location" not in page.headers
    assert_guarded(page.headers)
    found = re.search(r"<h1>([^<]+)</h1>", page.text)
    assert found, page.text
    return page.status_code, found[1]


def assert_guarded(headers: Mapping[str, str]) -> None:
    """Check the headers that every response to a browser has."""
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert "camera=()" in headers["permissions-policy"]
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert not {"script-src", "form-action"} & set(policy)
    assert not [name for name in headers if name.lower().startswith("access-control-")]
