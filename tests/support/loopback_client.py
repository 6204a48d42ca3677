"""A native client as RFC 8252 has it: opens the browser and listens on loopback for the answer."""

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

LANDED = "You can close this page."


class LoopbackClient:
    """Registers itself at the server. `answers` are the authorization responses that arrived."""

    def __init__(self, origin: str, port: int, **metadata: Any) -> None:
        self.origin = origin
        self.redirect_uri = f"http://127.0.0.1:{port}/callback"
        self.answers: list[dict[str, str]] = []
        self.cookies: list[str] = []
        self._verifier = secrets.token_urlsafe(32)
        asked = {
            "client_name": f"Editor {secrets.token_hex(4)}",
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        told = httpx.post(f"{origin}/register", json={**asked, **metadata}, timeout=30)
        assert told.status_code == 201, told.text
        self.client_id = str(told.json()["client_id"])

    def url(self, **parameters: str) -> str:
        """Return where the browser is sent; parameters beside the usual ones."""
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
        answer = httpx.post(f"{self.origin}/token", data=form, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def is_let_in(self, tokens: dict[str, Any]) -> bool:
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        return httpx.get(f"{self.origin}/session", headers=headers, timeout=30).status_code == 200


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
        client = LoopbackClient(origin, server.server_port, **metadata)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield client
        server.shutdown()
