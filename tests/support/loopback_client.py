"""A native client as RFC 8252 describes it: opens the browser, and listens on loopback for the response."""

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from support.leaks import issued
from support.timeouts import TIMEOUT

LANDED = "You can close this page."


class LoopbackClient:
    """Registers itself at the server. `answers` are the authorization responses that arrived."""

    def __init__(self, origin: str, redirect_uri: str, **metadata: Any) -> None:
        self.origin = origin
        self.redirect_uri = redirect_uri
        self.answers: list[dict[str, str]] = []
        self.cookies: list[str] = []
        self._verifier = secrets.token_urlsafe(32)
        issued("PKCE verifier", self._verifier)
        asked = {
            "client_name": f"Editor {secrets.token_hex(4)}",
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        # There is no TLS here, and to read all root certificates takes longer than a page.
        self._http = httpx2.Client(base_url=origin, timeout=TIMEOUT, verify=False)
        answer = self._http.post("/register", json={**asked, **metadata})
        assert answer.status_code == 201, answer.text
        self.client_id = str(answer.json()["client_id"])

    @classmethod
    @contextmanager
    def of(cls, origin: str, redirect_uri: str) -> Iterator[Self]:
        """Register a client whose redirect URI no test follows."""
        client = cls(origin, redirect_uri)
        yield client
        client.close()

    def url(self, **parameters: str) -> str:
        """Return the URL of the usual authorization request, changed or extended by `parameters`."""
        digest = hashlib.sha256(self._verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": "the-state",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.origin}/authorize?{urlencode(query | parameters)}"

    def tokens(self) -> dict[str, Any]:
        """Redeem the last code that arrived."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": self.answers[-1]["code"],
            "code_verifier": self._verifier,
            "redirect_uri": self.redirect_uri,
        }
        answer = self._http.post("/token", data=form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def is_let_in(self, tokens: dict[str, Any]) -> bool:
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        return self._http.get("/session", headers=headers).status_code == 200

    def revoke(self, token: str) -> None:
        form = {"token": token, "client_id": self.client_id}
        assert self._http.post("/revoke", data=form).status_code == 200

    def close(self) -> None:
        self._http.close()


@contextmanager
def listening(origin: str, **metadata: Any) -> Iterator[LoopbackClient]:
    """Run a client whose listener answers the browser; `cookies` are those that it was sent."""

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            if self.path.startswith("/callback"):
                client.answers.append({name: values[0] for name, values in query.items()})
                client.cookies.append(self.headers.get("cookie", ""))
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(f"<title>Editor</title><h1>Connected</h1><p>{LANDED}".encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        client = LoopbackClient(origin, f"http://127.0.0.1:{server.server_port}/callback", **metadata)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield client
        server.shutdown()
        client.close()
