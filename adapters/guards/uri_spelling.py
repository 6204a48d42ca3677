"""Different spellings of a URI that URL parsers read as the same URI (WHATWG URL Standard)."""

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote

_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}

_WEB = re.compile(r"(https?|wss?|ftp):/*([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)
_FILE = re.compile(r"\Afile:/*(?:localhost(?=/|\Z))?/*", re.IGNORECASE)

_AUTHORITY = re.compile(r"([a-z][a-z0-9+.\-]*)://([^/?#]*)", re.IGNORECASE)

_ODD_AUTHORITY = re.compile(r"\A@|:@|:\Z|:0[0-9]+\Z")
"""An empty user, password or port, or a port that begins with 0: parsers remove them."""

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)

_NEVER_IN_URIS = re.compile(r"[\s\\\x00-\x20\x7f-\x9f]")
_NEVER_IN_DECODED = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")
_SEPARATORS = re.compile(r"[/?#:]")


def is_ambiguous(uri: str) -> bool:
    """Whether URL parsers disagree about the URI, or many of them change it to another one.

    True for spaces, backslashes and control characters, and for the segments `.` and `..`, encoded or not
    (RFC 3986 section 5.2.4). Also for an empty port or user, and for a web or file URL whose host is not
    ASCII or is an IP address in an unusual spelling.
    """
    decoded = unquote(uri)
    if _NEVER_IN_URIS.search(uri) or _NEVER_IN_DECODED.search(decoded):
        return True
    if any(segment in (".", "..") for segment in _SEPARATORS.split(decoded)):
        return True
    found = _WEB.match(uri) or _AUTHORITY.match(uri)
    if found is None:
        return False
    scheme, authority = found[1].lower(), unquote(found[2])
    if _ODD_AUTHORITY.search(authority):
        return True
    return (scheme in _DEFAULT_PORTS or scheme == "file") and _is_unusual_host(authority)


def _is_unusual_host(authority: str) -> bool:
    host_and_port = authority.rpartition("@")[2]
    try:
        if host_and_port.startswith("["):
            host = host_and_port[1:].partition("]")[0].lower()
            return str(IPv6Address(host)) != host
        host = host_and_port.partition(":")[0]
        # Parsers read a host as an IPv4 address if its last label is a number.
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return str(IPv4Address(host)) != host
    except ValueError:
        return True
    return not authority.isascii()


def normalized(uri: str) -> str:
    """Return a web or file URL as URL parsers write it, and any other text unchanged.

    It has the usual number of slashes, but no default port, and no `localhost` in a file URL. Capital letters
    are not changed: the rules ignore case.
    """
    web = _WEB.fullmatch(uri)
    if web is None:
        return _FILE.sub("file:///", uri, count=1)
    scheme, authority, rest = web[1].lower(), web[2], web[3]
    authority = re.sub(rf":(?:0*{_DEFAULT_PORTS[scheme]})?\Z", "", authority)
    return f"{scheme}://{authority}{rest if rest.startswith('/') else '/' + rest}"
