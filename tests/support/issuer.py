"""An issuer that answers an `httpx2` client in memory: metadata, look-ups, introspection and keys."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

ISSUER = "https://auth.example"
RESOURCE = "https://mcp.example/mcp"
METADATA = "/.well-known/oauth-authorization-server"
SECRET = "the secret of this resource"

SESSION: dict[str, Any] = {
    "user_id": "glu_ann",
    "client_id": "glc_editor",
    "subject_type": "user",
    "scope": "openid email notes:read",
    "resource": RESOURCE,
    "expires_at": 4_000_000_000,
    "grant_id": "grant",
    "user": {"email": "ann@example.com", "email_verified": False},
}
INTROSPECTION: dict[str, Any] = {
    "active": True,
    "sub": "glu_ann",
    "client_id": "glc_editor",
    "scope": "openid email notes:read",
    "aud": RESOURCE,
    "exp": 4_000_000_000,
    "iss": ISSUER,
    "email": "ann@example.com",
    "email_verified": False,
    "grant_id": "grant",
}


class FakeIssuer:
    """Knows the token `good`. What it answers at a path can be replaced; what it was asked is recorded."""

    def __init__(self) -> None:
        self.asked: list[httpx2.Request] = []
        self.answers: dict[str, Any] = {
            METADATA: {
                "issuer": ISSUER,
                "introspection_endpoint": f"{ISSUER}/introspect",
                "jwks_uri": f"{ISSUER}/jwks",
            },
            "/session": SESSION,
            "/introspect": INTROSPECTION,
            "/jwks": {"keys": []},
        }
        self.delay: Callable[[], Awaitable[object]] | None = None

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    def paths(self) -> list[str]:
        return [request.url.path for request in self.asked]

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if self.delay is not None:
            await self.delay()
        answer = self.answers.get(request.url.path)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx2.Response):
            return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)
        if answer is None:
            return httpx2.Response(404, json={"error": "not_found"})
        if request.url.path == "/session" and request.headers["authorization"] != "Bearer good":
            return httpx2.Response(401, json={"error": "invalid_token"})
        if request.url.path == "/introspect" and "token=good&" not in request.content.decode():
            return httpx2.Response(200, json={"active": False})
        return httpx2.Response(200, json=answer)


KEYS: dict[str, Key] = {
    "ES256": ECKey.generate_key("P-256", {"kid": "es", "use": "sig"}),
    "RS256": RSAKey.generate_key(2048, {"kid": "rs", "use": "sig"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig"}),
}


def published(*keys: Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def claims(**others: Any) -> dict[str, Any]:
    """Return the claims of a good token, changed by `others`; a claim of None is left out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": "glu_ann",
        "client_id": "glc_editor",
        "scope": "openid email notes:read",
        "iat": now,
        "exp": now + 600,
        "jti": "1",
    }
    return {name: value for name, value in {**good, **others}.items() if value is not None}


def signed(with_claims: dict[str, Any] | None = None, *, key: Key | None = None, **header: str | None) -> str:
    """Return a JWT with these headers; one of None is left out."""
    key = key or KEYS["ES256"]
    algorithm = {"EC": "ES256", "RSA": "RS256", "OKP": "EdDSA"}[key.key_type]
    given = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid, **header}
    return jwt.encode(
        {name: value for name, value in given.items() if value is not None},
        claims() if with_claims is None else with_claims,
        key,
        algorithms=[str(given["alg"])],
        default_type=None,
    )
