"""The decision about a request, for guards of every framework."""

import logging
from collections.abc import Iterable
from functools import cache
from urllib.parse import parse_qsl

import msgspec

from grantledger.adapters.asgi_types import Headers
from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.guards.cors import Cors
from grantledger.adapters.guards.discovery_paths import origin_of
from grantledger.adapters.guards.refusals import guard_response
from grantledger.adapters.guards.source import GuardedResource
from grantledger.adapters.http.errors import GuardRefusal, PlainResponse
from grantledger.application.ports import Unavailable
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.refusal import Refusal
from grantledger.domain.scope import checked_token

_OF_THE_BODY = (b"content-type", b"content-length")

_log = logging.getLogger(__name__)


def names(given: Iterable[str]) -> tuple[str, ...]:
    """Return the names as a tuple. A string counts as one name."""
    return (given,) if isinstance(given, str) else tuple(given)


def warn_of_unknown_scopes(guarded: GuardedResource, scopes: Iterable[str]) -> None:
    """Log a warning for each scope that the issuer grants to no client, once in this process."""
    for scope in scopes:
        if guarded.offered_scopes is not None and scope not in guarded.offered_scopes:
            _warn_once(guarded.identifier, scope)


@cache
def _warn_once(resource: str, scope: str) -> None:
    _log.warning(
        "no client can get the scope %r for %s: add it to the setting `scopes` or to this resource, "
        "or correct its spelling",
        scope,
        resource,
    )


class RequestCheck:
    """Decides whether a request may pass, and holds the response for each refusal."""

    def __init__(self, guarded: GuardedResource, required_scopes: Iterable[str] = ()) -> None:
        """Without `required_scopes` the challenge names all scopes of the resource.

        Raises `ValueError` for a metadata URL or scopes that a challenge cannot hold.
        """
        self._verify = guarded.verify
        self._resource = guarded.identifier
        self._required = tuple(map(checked_token, names(required_scopes)))
        warn_of_unknown_scopes(guarded, self._required)
        self.cors = Cors(guarded.allowed_origin, own_origin=origin_of(guarded.identifier))
        scopes = self._required or guarded.scopes
        self._responses = {
            refusal: guard_response(refusal, guarded.metadata_url, scopes) for refusal in GuardRefusal
        }

    async def session(self, headers: Headers, query: bytes) -> McpSession | GuardRefusal:
        """Return the session of a request that may pass. Names of `headers` are in lower case."""
        session = await self.verified(headers, query)
        return session if isinstance(session, GuardRefusal) else self.with_scopes(session)

    async def verified(self, headers: Headers, query: bytes) -> McpSession | GuardRefusal:
        """Return the session of a valid token, whatever its scopes."""
        token = self.token(headers, query)
        if isinstance(token, GuardRefusal):
            return token
        try:
            return await self._verify(token, resource=self._resource)
        except Exception as error:  # noqa: BLE001 - see `failed`
            return self.failed(error)

    def token(self, headers: Headers, query: bytes) -> str | GuardRefusal:
        """Return the access token of the Authorization header, and nothing from anywhere else."""
        if self.cors.refuses(headers):
            return GuardRefusal.ORIGIN_FOREIGN
        # OAuth 2.1 section 5.1.1: URLs are logged, so others could read a token in one.
        if query and any(name == "access_token" for name, _ in _parsed(query)):
            return GuardRefusal.TOKEN_IN_QUERY
        try:
            token = bearer_token(headers)
        except AuthorizationMalformed:
            return GuardRefusal.REQUEST_MALFORMED
        return GuardRefusal.TOKEN_MISSING if token is None else token

    def with_scopes(self, session: McpSession) -> McpSession | GuardRefusal:
        """Return the session if it has every required scope."""
        missing = self._required and not set(self._required).issubset(session.scopes)
        return GuardRefusal.SCOPE_MISSING if missing else session

    def response(self, refusal: GuardRefusal, headers: Headers) -> PlainResponse:
        """Return the response to a refused request with these `headers`."""
        return self._responses[refusal].adding(self.cors.headers(headers))

    def error(self, refusal: GuardRefusal, headers: Headers) -> tuple[int, str, dict[str, str]]:
        """Return status, message and headers, for frameworks that write the body of an error themselves."""
        response = self.response(refusal, headers)
        message = msgspec.json.decode(response.body)["error"]["message"]
        kept = {name.decode(): value.decode() for name, value in response.headers if name not in _OF_THE_BODY}
        return response.status, message, kept

    def preflight(self, headers: Headers) -> PlainResponse:
        """Return the response to OPTIONS, which browsers send without credentials."""
        if self.cors.refuses(headers):
            return self.response(GuardRefusal.ORIGIN_FOREIGN, headers)
        return PlainResponse(204, self.cors.preflight(headers))

    @staticmethod
    def failed(error: Exception) -> GuardRefusal:
        """Return the refusal for an exception of `Verify`: 401 only if the token was checked and refused.

        On 401, clients discard the token. In an outage it may still be valid.
        """
        if isinstance(error, Refusal):
            return GuardRefusal.TOKEN_INVALID
        if isinstance(error, Unavailable):
            _log.warning("an access token could not be checked: %s", error)
        else:
            _log.error("an access token could not be checked", exc_info=error)
        return GuardRefusal.UNAVAILABLE


def _parsed(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True)
