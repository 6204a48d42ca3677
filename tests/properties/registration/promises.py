"""The expected answer to a registration, member by member: RFC 7591, ADRs 0011 to 0014."""

from typing import Any

from msgspec import Struct

from properties.registration.fields import (
    FORBIDDEN,
    HTTPS,
    KEPT_LINKS,
    KEPT_TEXTS,
    LINKS,
    OUTSIDE,
    PRIVATE,
    REDIRECT_URIS,
    TEXTS,
    is_malformed,
)

BAD_URI, BAD_METADATA = "invalid_redirect_uri", "invalid_client_metadata"
OURS = ("none", "client_secret_basic", "client_secret_post")
KNOWN_SCOPES = ("openid", "profile", "email", "offline_access", "notes:read", "notes:write")
MOST_URIS = 20


class Expected(Struct):
    """The metadata that the answer must contain. If there are `errors`, it must be one of these codes."""

    metadata: dict[str, Any]
    errors: set[str]

    @property
    def is_public(self) -> bool:
        return bool(self.metadata["token_endpoint_auth_method"] == "none")

    @property
    def identity(self) -> str:
        """Return what decides whether two public registrations are one client."""
        same: dict[str, Any] = {
            name: sorted(value) if isinstance(value, list) else value for name, value in self.metadata.items()
        }
        same["redirect_uris"] = sorted({_without_ephemeral_port(uri) for uri in same["redirect_uris"]})
        same["scope"] = " ".join(sorted(same["scope"].split()))
        return repr(sorted(same.items()))


def _without_ephemeral_port(uri: str) -> str:
    return uri.replace("http://127.0.0.1:49152/", "http://127.0.0.1:3118/")


def expected(body: dict[str, Any]) -> Expected:
    if is_malformed(body):
        return Expected({}, {BAD_METADATA})
    errors: set[str] = set()
    method = _auth_method(body, errors)
    uris = _redirect_uris(body, errors, is_public=method == "none")
    kinds = {REDIRECT_URIS.get(uri, HTTPS) for uri in uris}
    is_native = HTTPS not in kinds or body.get("application_type") == "native"
    metadata = {
        "redirect_uris": uris,
        "token_endpoint_auth_method": method,
        "grant_types": _grant_types(body, errors),
        "response_types": _response_types(body, errors),
        "application_type": "native" if is_native else "web",
        "scope": _scope(body, can_refresh="refresh_token" in _grant_types(body, errors)),
        "software_id": body["software_id"],
        **{name: KEPT_TEXTS[body.get(name)] for name in TEXTS},
        **{name: KEPT_LINKS[body.get(name)] for name in LINKS},
    }
    return Expected({name: value for name, value in metadata.items() if value is not None}, errors)


def _auth_method(body: dict[str, Any], errors: set[str]) -> str:
    wanted = body.get("token_endpoint_auth_method") or None
    offered = body.get("token_endpoint_auth_methods_supported") or []
    usable = [method for method in (wanted, *offered) if method in OURS]
    if not usable and (wanted or offered):
        errors.add(BAD_METADATA)
    return usable[0] if usable else "client_secret_basic"


def _redirect_uris(body: dict[str, Any], errors: set[str], *, is_public: bool) -> list[str]:
    given = list(dict.fromkeys(body.get("redirect_uris") or []))
    kinds = {uri: REDIRECT_URIS.get(uri, HTTPS) for uri in given}
    left_out = {OUTSIDE, FORBIDDEN} if is_public else {OUTSIDE, FORBIDDEN, PRIVATE}
    kept = [uri for uri in given if kinds[uri] not in left_out]
    if FORBIDDEN in kinds.values() or len(given) > MOST_URIS or not kept:
        errors.add(BAD_URI)
    return kept


def _grant_types(body: dict[str, Any], errors: set[str]) -> list[str]:
    given = body.get("grant_types") or ["authorization_code", "refresh_token"]
    if "authorization_code" not in given:
        errors.add(BAD_METADATA)
    return [grant for grant in ("authorization_code", "refresh_token") if grant in given]


def _response_types(body: dict[str, Any], errors: set[str]) -> list[str]:
    if "code" not in (body.get("response_types") or ["code"]):
        errors.add(BAD_METADATA)
    return ["code"]


def _scope(body: dict[str, Any], *, can_refresh: bool) -> str:
    asked = dict.fromkeys((body.get("scope") or "").split())
    kept = (token for token in asked if token in KNOWN_SCOPES)
    return " ".join(token for token in kept if can_refresh or token != "offline_access") or "openid"
