"""The ways in which `McpAuthClient` verifies a token: by asking the issuer, or by its keys."""

import logging
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Literal, Protocol
from urllib.parse import quote_plus, urlencode

import msgspec
from msgspec import Struct

from grantledger.adapters.guards.claims import session_of_claims
from grantledger.adapters.guards.issuer import Fetched, IssuerDocuments, IssuerHttp, issuer_base
from grantledger.adapters.guards.token_cache import TokenRefused
from grantledger.application.ports import Unavailable
from grantledger.application.tokens.mcp_session import McpSession, SessionUser, token_claims
from grantledger.domain.resource_indicator import same

_log = logging.getLogger(__name__)

_OK = 200
_UNAUTHORIZED = 401


class Verifier(Protocol):
    async def __call__(self, token: str) -> McpSession:
        """Return the session, without its token. Raises `TokenRefused`, and `Unavailable` in an outage."""
        ...


class BySession:
    """Ask a Grantledger server, with the token itself: `GET /session`. Needs no credentials."""

    def __init__(self, issuer: str, resource: str, http: IssuerHttp) -> None:
        self._issuer = issuer
        self._resource = resource
        self._http = http
        self._url = f"{issuer_base(issuer)}/session?{urlencode({'resource': resource})}"

    async def __call__(self, token: str) -> McpSession:
        answer = await self._http.fetch("GET", self._url, headers={"authorization": f"Bearer {token}"})
        # A 401 of anything else, such as a proxy, says nothing about the token.
        if answer.status == _UNAUTHORIZED and answer.json().get("error") == "invalid_token":
            raise TokenRefused("refused by the issuer")
        if answer.status != _OK:
            raise Unavailable(f"{self._issuer} answered {answer.status} to a look-up")
        return self._session(answer)

    def _session(self, answer: Fetched) -> McpSession:
        try:
            said = msgspec.json.decode(answer.body, type=_SessionResponse)
        except msgspec.DecodeError:
            raise Unavailable(f"{self._issuer} answered a look-up, but not with a session") from None
        if not same(said.resource, self._resource):
            raise TokenRefused("for another audience")
        scopes = tuple(said.scope.split())
        return McpSession(
            access_token="",
            expires_at=said.expires_at,
            client_id=said.client_id,
            user_id=said.user_id,
            user=said.user,
            scopes=scopes,
            resource=self._resource,
            claims=token_claims(
                issuer=self._issuer,
                subject=said.user_id or said.client_id,
                resource=self._resource,
                client_id=said.client_id,
                scopes=scopes,
                expires_at=said.expires_at,
                roles=said.roles,
                permissions=said.permissions,
            ),
            roles=said.roles,
            permissions=said.permissions,
            subject_type=said.subject_type,
            grant_id=said.grant_id,
        )


class _SessionResponse(Struct, frozen=True):
    """The response of `GET /session`."""

    user_id: str | None
    client_id: str
    scope: str
    resource: str
    expires_at: int
    subject_type: Literal["user", "machine"]
    grant_id: str | None = None
    user: SessionUser | None = None
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


class ByIntrospection:
    """Ask any issuer, with the credentials of this resource (RFC 7662)."""

    def __init__(
        self,
        issuer: str,
        resource: str,
        http: IssuerHttp,
        documents: IssuerDocuments,
        *,
        credentials: tuple[str, str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._resource = resource
        self._http = http
        self._documents = documents
        self._authorization = _basic(*credentials)
        self._now = now

    async def __call__(self, token: str) -> McpSession:
        url = await self._documents.endpoint("introspection_endpoint")
        answer = await self._http.fetch(
            "POST",
            url,
            headers={"authorization": self._authorization},
            form={"token": token, "token_type_hint": "access_token"},
        )
        if answer.status == _UNAUTHORIZED:
            _log.error("%s refuses the credentials of this resource for introspection", self._issuer)
        if answer.status != _OK:
            raise Unavailable(f"{self._issuer} answered {answer.status} to an introspection")
        said = answer.json()
        if not isinstance(said.get("active"), bool):
            raise Unavailable(f"{self._issuer} answered an introspection without `active`")
        if not said["active"]:
            raise TokenRefused("not active")
        if any(not _is_one_of(said.get(member), words) for member, words in _ACCESS_TOKEN.items()):
            raise TokenRefused("not a Bearer access token")
        # RFC 7662 makes `iss` optional. The endpoint is this issuer's, so the answer is about its token.
        claims: dict[str, Any] = {"iss": self._issuer, **said}
        del claims["active"]
        return session_of_claims(claims, issuer=self._issuer, resource=self._resource, now=self._now())


_ACCESS_TOKEN = {
    "token_type": ("bearer", "access_token"),
    "token_use": ("access_token", "access"),
    "typ": ("bearer", "at+jwt", "application/at+jwt", "access_token"),
}
"""How issuers say that a token is a Bearer access token.

Some answer `active` for refresh and ID tokens too. Ory Hydra names the kind in `token_use`, Keycloak in
`typ`.
"""


def _is_one_of(said: Any, words: tuple[str, ...]) -> bool:
    """Whether a member of a response is missing or one of `words`."""
    return said is None or (isinstance(said, str) and said.lower() in words)


def _basic(client_id: str, secret: str) -> str:
    """Return the header of client_secret_basic (RFC 6749 section 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {b64encode(pair.encode()).decode()}"
