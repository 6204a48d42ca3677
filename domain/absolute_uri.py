"""Parsing of absolute URIs, limited to those that every program parses the same way."""

import ipaddress
import re
from functools import lru_cache

from msgspec import Struct

MAX_LENGTH = 2048

_HIGHEST_PORT = 65535
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "[::1]", "localhost"})
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=\[\]]|%[0-9A-Fa-f]{2})*")
_PARTS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):"
    r"(?://(?P<authority>[^/?#]*))?"
    r"(?P<path>[^?#\[\]]*)"
    r"(?:\?(?P<query>[^#\[\]]*))?"
    r"(?:#(?P<fragment>[^#\[\]]*))?"
)
_AUTHORITY = re.compile(
    r"(?:(?P<userinfo>[^@]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-_]+(?:\.[A-Za-z0-9\-_]+)*)?"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_DOT_SEGMENT = re.compile(r"(?:\.|%2[eE]){1,2}")


class UriMalformed(ValueError):  # noqa: N818 - named for the fact, like a refusal
    """The text is not an absolute URI, or programs could parse it differently."""


class AbsoluteUri(Struct, frozen=True):
    """The parts of an absolute URI: RFC 3986 section 3.

    The scheme is in lower case, everything else as written. `host` is None if there is no authority, and ""
    if the authority is empty; an IPv6 address keeps its brackets.
    """

    scheme: str
    userinfo: str | None
    host: str | None
    port: int | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def is_web(self) -> bool:
        """Whether the scheme is http or https."""
        return self.scheme in ("http", "https")

    @property
    def is_loopback(self) -> bool:
        """Whether it is an http or https URI of the browser's own machine."""
        return self.is_web and (self.host or "").lower() in _LOOPBACK_HOSTS

    @property
    def is_this_machine(self) -> bool:
        """Whether browsers look for the host on their own machine.

        True for any loopback address, for `localhost`, and for all names below it (RFC 6761 section 6.3).
        `is_loopback` is narrower: it is for registered redirect URIs.
        """
        if self.is_localhost:
            return True
        host = self.host or ""
        if not host.endswith("]") and not host[-1:].isdigit():
            return False
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        address = mapped or address
        return address.is_loopback or address.is_unspecified

    @property
    def is_localhost(self) -> bool:
        """Whether browsers may look for the host at 127.0.0.1 and at [::1]: `localhost` and all below it."""
        host = (self.host or "").lower()
        return host == "localhost" or host.endswith(".localhost")

    @property
    def origin(self) -> str:
        """The origin of a web URI as browsers write it: without a default port (RFC 6454 section 6.2)."""
        default = {"https": 443, "http": 80}.get(self.scheme)
        port = "" if self.port in (None, default) else f":{self.port}"
        return f"{self.scheme}://{(self.host or '').lower()}{port}"


@lru_cache(1_024)  # the same few URIs come again and again: parsing them took 6 % of a registration
def parse(text: str) -> AbsoluteUri:
    r"""Return the parts of an absolute URI, or raise `UriMalformed`.

    Stricter than RFC 3986 where browsers and libraries disagree: `urllib.parse` drops tabs and newlines,
    browsers turn `\` into `/`, `https:/x` into `https://x/`, `127.1` into `127.0.0.1` and `/a/%2e%2e/b`
    into `/b`. What is checked, what is shown and what a browser opens must be the same URI.
    """
    if len(text) > MAX_LENGTH:
        raise UriMalformed(f"is longer than {MAX_LENGTH} characters")
    parts = _PARTS.fullmatch(text)
    if parts is None or _CHARACTERS.fullmatch(text) is None:
        raise UriMalformed("is not an absolute URI of RFC 3986")
    authority = _AUTHORITY.fullmatch(parts["authority"] or "")
    if authority is None:
        raise UriMalformed("has a malformed host or port")
    has_authority = parts["authority"] is not None
    uri = AbsoluteUri(
        scheme=parts["scheme"].lower(),
        userinfo=authority["userinfo"],
        host=(authority["host"] or "") if has_authority else None,
        port=None if authority["port"] is None else int(authority["port"]),
        path=parts["path"],
        query=parts["query"],
        fragment=parts["fragment"],
    )
    if uri.port is not None and uri.port > _HIGHEST_PORT:
        raise UriMalformed(f"has a port above {_HIGHEST_PORT}")
    if any(_DOT_SEGMENT.fullmatch(segment) for segment in uri.path.split("/")):
        raise UriMalformed("has a dot segment in its path")
    _check_host(uri)
    return uri


def _check_host(uri: AbsoluteUri) -> None:
    host = uri.host or ""
    if uri.is_web and not host:
        raise UriMalformed("has no host")
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1])
        elif uri.is_web and _NUMBER.fullmatch(host.rpartition(".")[2]):
            ipaddress.IPv4Address(host)
    except ValueError:
        raise UriMalformed("has a malformed IP address") from None
