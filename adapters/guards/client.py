"""`McpAuthClient`: verify tokens of an issuer in another process, or of another vendor."""

import re
from collections.abc import Iterable
from typing import Any, Literal, Self

import httpx2
from msgspec.structs import replace

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.guards.check import names
from grantledger.adapters.guards.cors import AllowedOrigin
from grantledger.adapters.guards.issuer import IssuerDocuments, IssuerHttp, checked_url
from grantledger.adapters.guards.methods import GuardMethods
from grantledger.adapters.guards.source import GuardedResource
from grantledger.adapters.guards.token_cache import Answer, SingleFlight, TokenCache, TokenRefused, digest_of
from grantledger.adapters.guards.verifiers import ByIntrospection, BySession, Verifier
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.resource_indicator import checked_identifier, same

VerifyBy = Literal["session", "introspection", "jwt"]

_MAX_TOKEN = 8 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""`b64token` of RFC 6750 section 2.1."""


class McpAuthClient(GuardMethods):
    """Verifies the access tokens that `issuer` issued for `resource`.

    Make it at import time, and use it in one event loop; it connects when it is first used. `verify` selects
    how it verifies a token:

    - `session`: ask a Grantledger server with the token (`GET /session`). Needs no credentials.
    - `introspection`: ask any issuer (RFC 7662), with `client_id` and `client_secret` of this resource.
    - `jwt`: check the signature of a JWT (RFC 9068) with the keys of the issuer. A revoked token is accepted
      until it expires.

    It shares these methods with `AuthorizationServer`: `verify_token`, `get_session`, `handler`,
    `middleware`, `discovery_handler` and `protected_resource_handler`.

    An answer is kept for `cache_seconds`, at most until the token expires. A revoked token may be accepted
    for that time. 0 keeps nothing. At most 10,000 sessions are kept, under digests of their tokens.

    `scopes` and `resource_name` are for the metadata of the resource. `allowed_origin` lists the origins
    whose web pages may send requests, by default all. `http` is the HTTP client to use.
    """

    def __init__(
        self,
        *,
        issuer: str,
        resource: str,
        verify: VerifyBy = "session",
        cache_seconds: float = 5,
        allowed_origin: AllowedOrigin = "*",
        scopes: Iterable[str] = (),
        resource_name: str = "",
        client_id: str | None = None,
        client_secret: str | None = None,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        """Raises `ValueError` with a sentence that names the wrong argument."""
        self.issuer = checked_url(issuer, "issuer")
        self.resource = checked_identifier(resource)
        self._http = IssuerHttp(http)
        self._documents = IssuerDocuments(issuer, self._http)
        self._verifier = self._verifier_of(verify, client_id, client_secret)
        self._cache = TokenCache(cache_seconds)
        self._shares = cache_seconds > 0
        self._flight = SingleFlight[Answer]()
        self._guarded = GuardedResource(
            identifier=resource,
            issuer=issuer,
            verify=self._verified,
            issuer_metadata=self._documents,
            scopes=names(scopes),
            name=resource_name,
            allowed_origin=allowed_origin,
        )

    def guarded_resource(self, resource: str | None = None) -> GuardedResource:
        """Return what guards need to know. Raises `ValueError` for another resource than this client's."""
        if resource is not None and not same(resource, self.resource):
            raise ValueError(f"this client is for {self.resource!r}, and not for {resource!r}")
        return self._guarded

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Return `app` unchanged: the issuer runs in another process."""
        return app

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to the issuer. The client may be used again."""
        await self._http.aclose()

    def known(self, token: str) -> McpSession | None:
        """Return the session that is kept for the token, None if the issuer must be asked.

        Raises `TokenRefused`.
        """
        if len(token) > _MAX_TOKEN or not _TOKEN.fullmatch(token):
            raise TokenRefused("not the characters of a token")
        answer = self._cache.get(digest_of(token))
        return None if answer is None else _with_token(answer, token)

    async def _verified(self, access_token: str, *, resource: str | None = None) -> McpSession:
        if resource is not None and not same(resource, self.resource):
            raise TokenRefused("for another audience")
        known = self.known(access_token)
        if known is not None:
            return known
        if not self._shares:
            return _with_token(await self._asked(access_token), access_token)
        answer = await self._flight(digest_of(access_token), lambda: self._asked(access_token))
        return _with_token(answer, access_token)

    async def _asked(self, token: str) -> Answer:
        started = self._cache.started()
        answer: Answer
        try:
            answer = await self._verifier(token)
        except TokenRefused as refused:
            answer = refused
        self._cache.keep(digest_of(token), answer, started)
        return answer

    def _verifier_of(self, verify: VerifyBy, client_id: str | None, client_secret: str | None) -> Verifier:
        if verify != "introspection" and (client_id is not None or client_secret is not None):
            raise ValueError("client_id and client_secret are for verify='introspection'")
        match verify:
            case "session":
                return BySession(self.issuer, self.resource, self._http)
            case "introspection":
                if not client_id or not client_secret:
                    raise ValueError("verify='introspection' needs client_id and client_secret")
                credentials = (client_id, client_secret)
                return ByIntrospection(
                    self.issuer, self.resource, self._http, self._documents, credentials=credentials
                )
            case "jwt":
                from grantledger.adapters.guards.jwt import ByKeys  # noqa: PLC0415 - joserfc, for this alone

                return ByKeys(self.issuer, self.resource, self._http, self._documents)
            case _:
                raise ValueError(f"verify={verify!r} is not 'session', 'introspection' or 'jwt'")


def _with_token(answer: Answer, token: str) -> McpSession:
    """Return a new session with the token, because requests must not share one. Raises the refusal."""
    if isinstance(answer, TokenRefused):
        raise TokenRefused(*answer.args)
    return replace(answer, access_token=token, claims=_copied(answer.claims))


def _copied(value: Any) -> Any:
    """Return a copy of decoded JSON, so that no request can change what the next one sees."""
    match value:
        case dict():
            return {name: _copied(member) for name, member in value.items()}
        case list():
            return [_copied(item) for item in value]
        case _:
            return value
