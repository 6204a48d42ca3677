"""Access tokens that are JWTs (RFC 9068), checked with the keys that their issuer publishes (RFC 7517)."""

import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact
from msgspec import Struct

from grantledger.adapters.guards.claims import session_of_claims
from grantledger.adapters.guards.issuer import RETRY_IN, IssuerDocuments, IssuerHttp
from grantledger.adapters.guards.token_cache import SingleFlight, TokenRefused
from grantledger.application.ports import Unavailable
from grantledger.application.tokens.mcp_session import McpSession

_log = logging.getLogger(__name__)

ALGORITHMS = ("ES256", "RS256", "EdDSA")
TYPES = frozenset(("at+jwt", "application/at+jwt"))

FRESH_FOR = 300.0
"""Seconds for which keys are used before they are fetched again."""
USABLE_FOR = 3_600.0
"""Seconds for which keys are used while the issuer does not answer."""
REFETCH_IN = 10.0
"""Minimum seconds between two fetches. Until the first keys are known, it is `RETRY_IN`."""

_KEYS = "keys"
_MIN_RSA_BITS = 2048
_MAX_KEYS = 100


class ByKeys:
    """Check the signature and what RFC 9068 section 4 demands, without a request about the token."""

    def __init__(
        self,
        issuer: str,
        resource: str,
        http: IssuerHttp,
        documents: IssuerDocuments,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._resource = resource
        self._keys = IssuerKeys(http, documents, monotonic)
        self._now = now
        self._was_opaque = False

    async def __call__(self, token: str) -> McpSession:
        if "." not in token and not self._was_opaque:  # once: strangers can send anything
            self._was_opaque = True
            _log.warning(
                "an access token for %s is no JWT: let the issuer give out JWTs for this resource, "
                "or verify by session or introspection",
                self._resource,
            )
        signed = _parsed(token)
        algorithm, kid = _header_of(signed)
        key = await self._keys.find(algorithm, kid)
        claims = _verified_claims(signed, key)
        if not isinstance(claims.get("sub"), str):
            raise TokenRefused("without a subject")
        return session_of_claims(claims, issuer=self._issuer, resource=self._resource, now=self._now())


class _Registry(JWSRegistry):
    """The allowed algorithms. joserfc's warning about EdDSA does not apply: only Ed25519 keys are used."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name] if name in ALGORITHMS else super().get_alg(name)


_REGISTRY = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


def _parsed(token: str) -> CompactSignature:
    try:
        return extract_compact(token.encode(), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise TokenRefused("not a JWT") from None


def _header_of(signed: CompactSignature) -> tuple[str, str | None]:
    """Return algorithm and key id, before the signature is checked."""
    header = signed.headers()
    kind, algorithm, kid = header.get("typ"), header.get("alg"), header.get("kid")
    # RFC 9068 section 4: an ID token must not be accepted as an access token.
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise TokenRefused("a JWT of another type")
    if algorithm not in ALGORITHMS:
        raise TokenRefused("signed with an algorithm that is not allowed")
    if "crit" in header:
        raise TokenRefused("with a critical header that is not known")
    return algorithm, kid if isinstance(kid, str) else None


def _verified_claims(signed: CompactSignature, key: Key) -> dict[str, Any]:
    try:
        if not validate_compact(signed, key, registry=_REGISTRY):
            raise TokenRefused("with a wrong signature")
        return msgspec.json.decode(signed.payload or b"", type=dict[str, Any])
    except (JoseError, ValueError, TypeError, RecursionError, msgspec.DecodeError):
        raise TokenRefused("with a signature or content that is not valid") from None


class _Keys(Struct, frozen=True):
    by_algorithm: dict[str, dict[str | None, Key]]
    fetched_at: float


class IssuerKeys:
    """The public keys of an issuer, fetched when they are needed."""

    def __init__(self, http: IssuerHttp, documents: IssuerDocuments, monotonic: Callable[[], float]) -> None:
        self._http = http
        self._documents = documents
        self._monotonic = monotonic
        self._known: _Keys | None = None
        self._asked_at: float | None = None
        self._flight = SingleFlight[_Keys]()

    async def find(self, algorithm: str, kid: str | None) -> Key:
        """Return the key of a token. Raises `TokenRefused`, and `Unavailable` if no keys can be fetched."""
        keys = await self._current()
        key = _find(keys, algorithm, kid)
        if key is None:
            key = _find(await self._just_fetched(keys), algorithm, kid)
        if key is None:
            raise TokenRefused("signed with a key that is not known")
        return key

    async def _current(self) -> _Keys:
        known = self._known
        if known is not None and self._monotonic() < known.fetched_at + FRESH_FOR:
            return known
        if self._may_ask() or (known is None and self._flight.is_running(_KEYS)):
            return await self._refreshed(known)
        if known is None:
            raise Unavailable("the keys of the issuer could not be read just now")
        return self._still_usable(known)

    async def _just_fetched(self, keys: _Keys) -> _Keys:
        """Return keys that were fetched in the last `REFETCH_IN` seconds.

        Raises `Unavailable` if they cannot be fetched now. The token may be signed with a new key, and a
        client would discard it if it were refused.
        """
        if self._monotonic() < keys.fetched_at + REFETCH_IN:
            return keys
        if not self._may_ask() and not self._flight.is_running(_KEYS):
            raise Unavailable("the keys of the issuer could not be read just now")
        return await self._flight(_KEYS, self._fetched)

    def _may_ask(self) -> bool:
        wait = RETRY_IN if self._known is None else REFETCH_IN
        return self._asked_at is None or self._monotonic() >= self._asked_at + wait

    async def _refreshed(self, known: _Keys | None) -> _Keys:
        try:
            return await self._flight(_KEYS, self._fetched)
        except Unavailable as error:
            if known is None:
                raise
            _log.warning("the keys of the issuer cannot be read: %s", error)
            return self._still_usable(known)

    def _still_usable(self, known: _Keys) -> _Keys:
        if self._monotonic() >= known.fetched_at + USABLE_FOR:
            raise Unavailable("the keys of the issuer are too old")
        return known

    async def _fetched(self) -> _Keys:
        self._asked_at = self._monotonic()
        url = await self._documents.endpoint("jwks_uri")
        answer = await self._http.fetch("GET", url)
        listed = answer.json().get("keys") if answer.status == 200 else None  # noqa: PLR2004
        if not isinstance(listed, list):
            raise Unavailable(f"the issuer answered {answer.status} without keys")
        usable = _usable(listed[:_MAX_KEYS])
        if not usable:  # no token could be checked, and clients would discard theirs
            raise Unavailable("the issuer answered without a key that can be used")
        self._known = _Keys(usable, self._asked_at)
        return self._known


def _find(keys: _Keys, algorithm: str, kid: str | None) -> Key | None:
    of_algorithm = keys.by_algorithm.get(algorithm, {})
    if kid is None:  # clear only if there is a single key
        return next(iter(of_algorithm.values())) if len(of_algorithm) == 1 else None
    return of_algorithm.get(kid)


def _usable(listed: list[Any]) -> dict[str, dict[str | None, Key]]:
    """Return the keys by algorithm and key id. Those that cannot be used are left out."""
    by_algorithm: dict[str, dict[str | None, Key]] = {}
    for jwk in listed:
        if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
            continue
        try:
            key = JWKRegistry.import_key(jwk)
            algorithm = _algorithm_of(key)
        except Exception as error:  # noqa: BLE001 - whatever the library raises, other keys may be good
            _log.warning("a key of the issuer cannot be used: %s", type(error).__name__)
            continue
        kid = jwk.get("kid")
        if algorithm is not None and jwk.get("alg", algorithm) == algorithm:
            by_algorithm.setdefault(algorithm, {})[kid if isinstance(kid, str) else None] = key
    return by_algorithm


def _algorithm_of(key: Key) -> str | None:
    match key:
        case ECKey() if key.curve_name == "P-256":
            return "ES256"
        case RSAKey() if key.public_key.key_size >= _MIN_RSA_BITS:
            return "RS256"
        case OKPKey() if key.as_dict(private=False).get("crv") == "Ed25519":
            return "EdDSA"
        case _:
            return None
