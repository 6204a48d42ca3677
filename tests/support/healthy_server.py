"""An authorization server with an MCP server, in memory, in which the doctor finds nothing wrong.

It is a small program of its own, not Grantledger. A test of the doctor breaks one thing in it, and expects
one finding.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from msgspec import Struct

from grantledger.adapters.asgi_types import Receive, Scope, Send

ORIGIN = "http://127.0.0.1:9"
MCP = f"{ORIGIN}/mcp"
USER = "x-signed-in-user"
"""A request with this header comes from a user who is signed in and has allowed the client."""

_KEY = ECKey.generate_key("P-256", {"kid": "1", "use": "sig", "alg": "ES256"})
_CORS = {"access-control-allow-origin": "*", "access-control-expose-headers": "WWW-Authenticate"}
_CHALLENGE = f'Bearer scope="todo", resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp"'


class Response(Struct):
    status: int
    headers: dict[str, str]
    body: bytes = b""


class Request(Struct):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return _single(self.body.decode())


Rewrite = Callable[[Response], object]


class HealthyServer:
    """`rewrites` change the response to a method and a path; `broken` names rules that are broken."""

    def __init__(self) -> None:
        self.rewrites: list[tuple[str, str, Rewrite]] = []
        self.broken: set[str] = set()
        self.resource: dict[str, Any] = {
            "resource": MCP,
            "authorization_servers": [ORIGIN],
            "scopes_supported": ["todo"],
        }
        self.metadata: dict[str, Any] = {
            "issuer": ORIGIN,
            "authorization_endpoint": f"{ORIGIN}/authorize",
            "token_endpoint": f"{ORIGIN}/token",
            "registration_endpoint": f"{ORIGIN}/register",
            "revocation_endpoint": f"{ORIGIN}/revoke",
            "jwks_uri": f"{ORIGIN}/jwks",
            "scopes_supported": ["openid"],
            "protected_resources": [MCP],
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": True,
        }
        self.openid: dict[str, Any] | None = None
        """The OpenID Connect document, if it differs from `metadata`."""

        self.clients: dict[str, dict[str, Any]] = {}
        self.codes: dict[str, dict[str, Any]] = {}
        self.generations: dict[str, int] = {}
        """The current generation of each grant that is valid."""

        self.revoked: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = _single(scope["query_string"].decode())
        request = Request(scope["method"], scope["path"], query, headers, message.get("body", b""))
        response = self.response(request)
        for method, path, rewrite in self.rewrites:
            if (method, path) == (request.method, request.path):
                rewrite(response)
        pairs = [(name.encode(), value.encode()) for name, value in response.headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": pairs})
        body = b"" if request.method == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    def response(self, request: Request) -> Response:
        path = request.path
        if request.method == "OPTIONS" and path != "/authorize":
            asked = request.headers.get("access-control-request-headers", "")
            return Response(204, {**_CORS, "access-control-allow-headers": asked})
        match path:
            case "/mcp" | "/mcp/":
                return self._mcp(request)
            case "/.well-known/oauth-protected-resource" | "/.well-known/oauth-protected-resource/mcp":
                return _json(200, self.resource)
            case "/.well-known/oauth-authorization-server":
                return _json(200, self.metadata)
            case "/.well-known/openid-configuration":
                return _json(200, self.openid or self.metadata)
            case "/jwks":
                return _json(200, KeySet([_KEY]).as_dict(private=False))
            case "/register" if request.method == "POST":
                return self._register(msgspec.json.decode(request.body))
            case "/authorize":
                return self._authorize(request)
            case "/token" if request.method == "POST":
                return self._token(request)
            case "/revoke" if request.method == "POST":
                return self._revoke(request.form)
            case _ if path.startswith("/clients/") and request.method == "DELETE":
                del self.clients[path.removeprefix("/clients/")]
                return Response(204, {})
            case _:
                return _json(404, {"error": "not_found"})

    def _mcp(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if "query" in self.broken:
            token = token or request.query.get("access_token", "")
        grant, _, generation = token.removeprefix("a-").rpartition("-")
        is_valid = grant in self.generations and generation.isdigit() and "audience" not in self.broken
        if is_valid or ("access" in self.broken and grant in self.revoked):
            return _json(200, {"jsonrpc": "2.0", "id": 1, "result": {}})
        error = 'Bearer error="invalid_token", ' if token else "Bearer "
        return Response(401, {**_CORS, "www-authenticate": _CHALLENGE.replace("Bearer ", error)})

    # Registration

    def _register(self, asked: dict[str, Any]) -> Response:
        is_bad = any(uri.startswith(("javascript:", "/")) for uri in asked["redirect_uris"])
        if is_bad and "form" in self.broken:
            return _json(422, {"detail": "redirect_uris"})
        if is_bad and "scripts" not in self.broken:
            return _json(400, {"error": "invalid_redirect_uri"})
        client_id = secrets.token_hex(8)
        known = ("redirect_uris", "token_endpoint_auth_method", "grant_types", "client_name")
        client = {name: asked[name] for name in known} | {"client_id": client_id}
        if asked["token_endpoint_auth_method"] != "none":
            client |= {"client_secret": secrets.token_hex(16), "client_secret_expires_at": 0}
        self.clients[client_id] = client
        management = {"registration_client_uri": f"{ORIGIN}/clients/{client_id}"}
        return _json(
            200 if "created" in self.broken else 201, client | management | {"registration_access_token": "r"}
        )

    # Authorization

    def _authorize(self, request: Request) -> Response:
        query = request.query
        client = self.clients.get(query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        if "late" in self.broken and USER not in request.headers:
            return Response(302, {"location": "/sign-in"})
        same = str if "port" in self.broken else _portless
        if client is None or same(redirect_uri) not in map(same, client["redirect_uris"]):
            return _page(400, "This application is not known here")
        signed_in = USER in request.headers
        if query.get("code_challenge_method") != "S256" and "challenge" not in self.broken:
            return self._back(query, error="invalid_request")
        if not signed_in and query.get("prompt") == "none" and "none" not in self.broken:
            return self._back(query, error="login_required")
        if not signed_in:
            return _page(200, '<input type="password">')
        code = secrets.token_hex(16)
        self.codes[code] = {"challenge": query.get("code_challenge"), "client_id": query["client_id"]}
        return self._back(query, code=code)

    def _back(self, query: dict[str, str], **parameters: str) -> Response:
        sent = {**parameters, "state": query.get("state", ""), "iss": ORIGIN}
        for name in ("state", "iss"):
            if name in self.broken or ("error" in parameters and f"{name} of errors" in self.broken):
                del sent[name]
        return Response(303, {"location": f"{query['redirect_uri']}?{urlencode(sent)}"})

    # Tokens

    def _token(self, request: Request) -> Response:
        form, header = request.form, request.headers.get("authorization", "")
        client_id = form.get("client_id", "")
        if header.startswith("Basic ") and "basic" not in self.broken:
            client_id = base64.b64decode(header[6:]).decode().partition(":")[0]
        if client_id not in self.clients:
            return _json(401, {"error": "invalid_client"})
        if form.get("grant_type") == "refresh_token":
            return self._refresh(form.get("refresh_token", ""))
        return self._redeem(form)

    def _redeem(self, form: dict[str, str]) -> Response:
        code = self.codes.get(form.get("code", ""))
        if code is None:
            return _json(400, {"error": "invalid_grant"})
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        verifies = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == code["challenge"]
        if not verifies and "verifier" not in self.broken and code["challenge"] is not None:
            if "burns codes" in self.broken:
                del self.codes[form["code"]]
            return _json(400, {"error": "invalid_grant"})
        if "grant" in code and "replay" not in self.broken:
            if "keeps" not in self.broken:
                self._end(code["grant"])
            return _json(400, {"error": "invalid_grant"})
        code["grant"] = secrets.token_hex(8)
        self.generations[code["grant"]] = 1
        return self._pair(code["grant"], 1)

    def _refresh(self, token: str) -> Response:
        grant, _, number = token.removeprefix("r-").rpartition("-")
        generation = int(number) if number.isdigit() else 0
        current = self.generations.get(grant)
        if current is None or "refresh" in self.broken or not 0 < generation <= current:
            status, error = (400, "invalid_grant") if "dead" not in self.broken else (400, "invalid_request")
            return _json(status, {"error": error})
        if "static" in self.broken:
            return self._pair(grant, generation)
        if generation < current and "strict" in self.broken:
            return _json(400, {"error": "invalid_grant"})
        if generation < current and "fatal" in self.broken:
            self._end(grant)
            return _json(400, {"error": "invalid_grant"})
        if generation == current or "forks" in self.broken:
            self.generations[grant] += 1
        return self._pair(grant, self.generations[grant])

    def _pair(self, grant: str, generation: int) -> Response:
        claims = {"iss": ORIGIN, "sub": "1"}
        tokens = {
            "access_token": f"a-{grant}-{generation}",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": f"r-{grant}-{generation}",
            "id_token": jwt.encode({"alg": "ES256", "kid": "1"}, claims, _KEY),
        }
        return _json(200, tokens, {"cache-control": "no-store"})

    def _end(self, grant: str) -> None:
        if self.generations.pop(grant, None) is not None:
            self.revoked.add(grant)

    def _revoke(self, form: dict[str, str]) -> Response:
        if "secret" in self.broken and "client_secret" not in form:
            return _json(400, {"error": "invalid_request"})
        grant = form.get("token", "")[2:].rpartition("-")[0]
        if grant not in self.generations and "unknown" in self.broken:
            return _json(400, {"error": "invalid_request"})
        if "revocation" not in self.broken:
            self._end(grant)
        return Response(200, _CORS)


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(
        status, {"content-type": "application/json", **_CORS, **(headers or {})}, msgspec.json.encode(body)
    )


def _page(status: int, text: str) -> Response:
    headers = {
        "content-security-policy": "frame-ancestors 'none'",
        "set-cookie": "request=1; Path=/; HttpOnly",
    }
    return Response(status, {"content-type": "text/html", **headers}, text.encode())


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


def _portless(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"
