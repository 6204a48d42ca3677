"""An OAuth client and a browser, by hand: every parameter of every request can be got wrong."""

import base64
import hashlib
import re
import secrets
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx
from support.server import EMAIL, PASSWORD

REDIRECT_URI = "https://client.example/callback"
VERIFIER = "verifier-verifier-verifier-verifier-verifier"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Person:
    """A client's view of the server and a person's browser, over one HTTP connection pool."""

    def __init__(self, origin: str, http: httpx.AsyncClient) -> None:
        self.origin = origin
        self.http = http

    @classmethod
    def at(cls, origin: str) -> Self:
        limits = httpx.Limits(max_connections=64)
        return cls(origin, httpx.AsyncClient(base_url=origin, timeout=30, limits=limits))

    async def register(self, **metadata: Any) -> dict[str, Any]:
        """Register a client, by default a public one with a name of its own."""
        asked = {
            "client_name": f"Test client {secrets.token_hex(4)}",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        answer = await self.http.post("/register", json={**asked, **metadata})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def authorize(self, client_id: str, **parameters: str | None) -> httpx.Response:
        """Send the browser to /authorize; a parameter of None is left out."""
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT_URI,
            "state": "the-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        query = {name: value for name, value in {**asked, **parameters}.items() if value is not None}
        return await self.http.get("/authorize", params=query)

    async def sign_in(self, page: httpx.Response, *, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        """Fill in the sign-in page and follow to what comes next."""
        return await self.submit(page, "sign-in", email=email, password=password)

    async def submit(self, page: httpx.Response, form: str, **filled: str) -> httpx.Response:
        fields = {"csrf_token": csrf_token(page), **filled}
        answer = await self.http.post(f"{page.url.path}/{form}", data=fields)
        return await self.followed(answer)

    async def followed(self, answer: httpx.Response) -> httpx.Response:
        """Follow redirects within the server; return the page, or the redirect that leaves it."""
        while (target := answer.headers.get("location")) and target.startswith(("/", self.origin)):
            answer = await self.http.get(target)
        return answer

    async def code(self, client_id: str, **parameters: str | None) -> str:
        """Do all that a person does for a client, and return the code."""
        answer = await self.followed(await self.authorize(client_id, **parameters))
        if "/sign-in" in answer.text:
            answer = await self.sign_in(answer)
        if "location" not in answer.headers:
            answer = await self.submit(answer, "consent", decision="allow")
        return returned(answer)["code"]

    async def token(self, **form: str) -> httpx.Response:
        return await self.http.post("/token", data=form)

    async def redeem(self, client_id: str, code: str, **form: str) -> httpx.Response:
        asked = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": REDIRECT_URI,
        }
        return await self.token(**{**asked, **form})

    async def refresh(self, client_id: str, refresh_token: str, **form: str) -> httpx.Response:
        asked = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
        return await self.token(**{**asked, **form})

    async def tokens(self, client_id: str, **parameters: str | None) -> dict[str, Any]:
        """Return the first tokens of a new grant."""
        answer = await self.redeem(client_id, await self.code(client_id, **parameters))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def session(self, access_token: str, **query: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {access_token}"}
        return await self.http.get("/session", headers=headers, params=query)


def csrf_token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def returned(answer: httpx.Response) -> dict[str, str]:
    """Return the parameters with which the browser was sent back to the client, each there once."""
    assert answer.status_code == 303, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values()), query
    return {name: values[0] for name, values in query.items()}
