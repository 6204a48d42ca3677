"""Whether clients that use the issuer's URL reach the server of these settings, through its proxy."""

import re
import secrets
import ssl
from urllib.parse import urlsplit

import httpx2

from grantledger.adapters.guards.discovery_paths import AUTHORIZATION_SERVER, resource_metadata_url
from grantledger.domain.absolute_uri import parse
from grantledger.entrypoints.settings import Settings, SettingsInvalid

# The request id that the server makes itself, if it does not trust the X-Request-Id of the request.
_OWN_REQUEST_ID = re.compile(r"[0-9a-f]{16}")


class _Mismatch(Exception):  # noqa: N818 - what a client sees
    """A response is not what the settings promise."""


def online_faults(settings: Settings, verify: ssl.SSLContext | bool = True) -> list[SettingsInvalid]:
    """Send requests to the running server as a client does, and return what contradicts the settings."""
    loopback = parse(settings.issuer_identifier).is_loopback
    with httpx2.Client(timeout=10, verify=verify, trust_env=not loopback) as http:
        try:
            request_id = _check_issuer(http, settings.issuer_identifier)
            _check_paths(http, settings)
        except _Mismatch as mismatch:
            return [SettingsInvalid("issuer", str(mismatch))]
        faults = [*_resource_faults(http, settings)]
    if settings.trusted_proxies and _OWN_REQUEST_ID.fullmatch(request_id):
        sentence = (
            "does not name the proxy in front of the server, whose X-Request-Id is not believed, or the "
            "proxy removes that header"
        )
        faults.append(SettingsInvalid("trusted_proxies", sentence))
    return faults


def _check_issuer(http: httpx2.Client, issuer: str) -> str:
    """Check the metadata, where clients look first; return the request id of the response."""
    parts = urlsplit(issuer)
    url = f"{parts.scheme}://{parts.netloc}{AUTHORIZATION_SERVER}{parts.path.rstrip('/')}"
    # 20 digits, which cannot be a request id that the server has made.
    response = _answer(http, url, 200, {"x-request-id": secrets.token_hex(10)})
    named = _member(response, "issuer")
    if named != issuer:
        raise _Mismatch(f"is {issuer!r}, but the server at {url} says {named!r}: clients compare every byte")
    return str(response.headers.get("x-request-id", ""))


def _check_paths(http: httpx2.Client, settings: Settings) -> None:
    """Check that the proxy passes on the paths of requests and the challenge of a response."""
    url = f"{settings.issuer_identifier.rstrip('/')}/session"
    response = _answer(http, url, 401, {})
    if "bearer" not in response.headers.get("www-authenticate", "").lower():
        raise _Mismatch(f"is not passed on as it is: {url} answers without WWW-Authenticate")


def _resource_faults(http: httpx2.Client, settings: Settings) -> list[SettingsInvalid]:
    faults = []
    for issuer in settings.better_auth_issuers:
        try:
            _check_issuer(http, issuer)
        except _Mismatch as mismatch:
            faults.append(SettingsInvalid("resources", str(mismatch)))
    for resource in settings.protected_resources:
        try:
            _check_resource(http, resource.identifier)
        except _Mismatch as mismatch:
            faults.append(SettingsInvalid("resources" if settings.resources else "resource", str(mismatch)))
    return faults


def _check_resource(http: httpx2.Client, identifier: str) -> None:
    url = resource_metadata_url(identifier)
    named = _member(_answer(http, url, 200, {}), "resource")
    if named != identifier:
        raise _Mismatch(f"names {identifier!r}, but {url} says {named!r}: clients compare the two")


def _answer(http: httpx2.Client, url: str, expected: int, headers: dict[str, str]) -> httpx2.Response:
    try:
        response = http.get(url, headers=headers)
    except httpx2.TransportError as error:
        raise _Mismatch(f"cannot be reached: {url}: {error}") from None
    if response.status_code != expected:
        to = f" to {response.headers['location']}" if "location" in response.headers else ""
        raise _Mismatch(
            f"is not passed on as it is: {url} answers {response.status_code}{to}, not {expected}"
        )
    return response


def _member(response: httpx2.Response, name: str) -> object:
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _Mismatch(f"is not passed on as it is: {response.url} answers no JSON object")
    return document.get(name)
