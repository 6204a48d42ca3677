"""What a setting must be. A rule raises a ValueError whose text goes on after the key: "must be ..."."""

import ipaddress
import re
from collections.abc import Callable
from typing import Final

from grantledger.adapters.crypto.master_secrets import MasterSecrets, parsed_secret
from grantledger.domain import redirect_uri, resource_indicator, scope
from grantledger.domain.absolute_uri import AbsoluteUri, UriMalformed, parse
from grantledger.domain.rate import Rate
from grantledger.domain.resource_indicator import Resource

IN_MEMORY: Final = ":memory:"
"""A throw-away database: it ends with the process."""

_HOST_NAME = re.compile(r"[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)*")
_ISSUER_PATH = re.compile(r"(/[A-Za-z0-9\-._~]+)*/?")
_PERIODS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_RATE = re.compile(rf"([1-9][0-9]{{0,8}})/({'|'.join(_PERIODS)})")
_REALM = re.compile(r"[a-z0-9][a-z0-9_\-]{0,62}")


def between(low: int, high: int) -> Callable[[int], None]:
    def check(value: int) -> None:
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}, not {value}")

    return check


def either(_: bool) -> None:
    """True or false: neither can be wrong."""


def host(address: str) -> None:
    """An address or a name to listen on, without port."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        if not _HOST_NAME.fullmatch(address):
            raise ValueError(f"must be an IP address or a host name, not {address!r}") from None


def issuer(url: str) -> None:
    """RFC 8414 section 2; and one way to write it, since cookies and the rule for our own pages follow it."""
    uri = _parsed(url)
    if not _is_https_or_loopback(uri):
        raise ValueError(f"must be an https URL, or an http one on loopback, not {url!r}")
    if uri.userinfo is not None or uri.query is not None or uri.fragment is not None:
        raise ValueError(f"must have no user name, query or fragment, not {url!r}")
    if uri.host != (uri.host or "").lower():
        raise ValueError(f"must have its host in small letters, not {url!r}")
    if not _ISSUER_PATH.fullmatch(uri.path):
        raise ValueError(f"must have a path of letters, digits and -._~ between single slashes, not {url!r}")


def database(path: str) -> None:
    # A URL is not shown: it may hold a password.
    if "://" in path or path.startswith("file:"):
        raise ValueError("must be the path of a SQLite file, not a URL")
    file(path)


def file(path: str) -> None:
    if not path or "\0" in path:
        raise ValueError(f"must be the path of a file, not {path!r}")


def realm(name: str) -> None:
    if not _REALM.fullmatch(name):
        raise ValueError(f"must be up to 63 of a-z, 0-9, _ and -, the first a letter or digit, not {name!r}")


def log_format(name: str) -> None:
    _one_of(name, "json", "console")


def log_level(name: str) -> None:
    _one_of(name, "debug", "info", "warning", "error")


def rate(text: str) -> None:
    parsed_rate(text)


def parsed_rate(text: str) -> Rate | None:
    """Return the rate, None for "off". Raises `ValueError`."""
    if text == "off":
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(
            f'must be a rate as "10/hour", per second, minute, hour or day, or "off", not {text!r}'
        )
    return Rate(count=int(found[1]), period=_PERIODS[found[2]])


def login_page(page: str) -> None:
    """A URL, or an absolute path on the issuer's origin."""
    uri = _parsed(f"https://host{page}" if page.startswith("/") else page)
    if page.startswith("//") or not _is_https_or_loopback(uri):
        raise ValueError(f"must be a path, an https URL, or an http one on loopback, not {page!r}")
    if uri.userinfo is not None or uri.fragment is not None:
        raise ValueError(f"must have no user name and no fragment, not {page!r}")


def resource(identifier: str) -> None:
    """RFC 8707 section 2."""
    try:
        resource_indicator.checked_identifier(identifier)
    except ValueError as error:
        raise ValueError(f"cannot be used: {error}") from None


def resources(configured: tuple[Resource, ...]) -> None:
    for place, one in enumerate(configured):
        resource(one.identifier)
        scopes(one.scopes)
        if any(resource_indicator.same(one.identifier, other.identifier) for other in configured[:place]):
            raise ValueError(f"must be different from one another, not {one.identifier!r} twice")


def scopes(tokens: tuple[str, ...]) -> None:
    """RFC 6749 section 3.3."""
    for token in tokens:
        if scope.split(token) != (token,):
            raise ValueError(f"must be ASCII without space, quote and backslash, not {token!r}")


def private_use_redirect_uris(entries: tuple[str, ...]) -> None:
    for entry in entries:
        try:
            redirect_uri.checked_private_use(entry)
        except ValueError as error:
            raise ValueError(f"cannot be used: {error}") from None


def master_secret(texts: tuple[str, ...]) -> None:
    try:
        MasterSecrets([parsed_secret(text) for text in texts])
    except ValueError as error:
        raise ValueError(f"cannot be used: {error}") from None


def networks(texts: tuple[str, ...]) -> None:
    for text in texts:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"must be IP addresses or networks: {error}") from None


def _one_of(name: str, *names: str) -> None:
    if name not in names:
        raise ValueError(f"must be one of {', '.join(names)}, not {name!r}")


def _parsed(url: str) -> AbsoluteUri:
    try:
        return parse(url)
    except UriMalformed as malformed:
        raise ValueError(f"must be a URL, not {url!r}, which {malformed}") from None


def _is_https_or_loopback(uri: AbsoluteUri) -> bool:
    return uri.scheme == "https" or (uri.scheme == "http" and uri.is_loopback)
