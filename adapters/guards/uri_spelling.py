"""URIs of one resource in different spellings, as URL parsers make one of them (WHATWG URL Standard)."""

import re
from urllib.parse import unquote

_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}

_WEB = re.compile(r"(https?|wss?|ftp):/*([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)
_FILE = re.compile(r"\Afile:/*(?:localhost(?=/|\Z))?/*", re.IGNORECASE)

_NEVER_IN_URIS = re.compile(r"[\s\\\x00-\x20\x7f-\x9f]")
_NEVER_IN_DECODED = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")
_SEPARATORS = re.compile(r"[/?#:]")


def is_ambiguous(uri: str) -> bool:
    """Whether URL parsers disagree about it, or many make another URI of it.

    True for spaces, backslashes and control characters, for the segments `.` and `..` (RFC 3986 section
    5.2.4), encoded or not, and for the host of a web URL in letters that are not ASCII.
    """
    decoded = unquote(uri)
    if _NEVER_IN_URIS.search(uri) or _NEVER_IN_DECODED.search(decoded):
        return True
    if any(segment in (".", "..") for segment in _SEPARATORS.split(decoded)):
        return True
    web = _WEB.fullmatch(uri)
    return web is not None and not unquote(web[2]).isascii()


def normalized(uri: str) -> str:
    """Return a URL of a web page or file as URL parsers write it, and any other text as it is.

    Without the default port and `localhost` of a file, and with the usual number of slashes. It does not
    change capital letters, which the rules ignore.
    """
    web = _WEB.fullmatch(uri)
    if web is None:
        return _FILE.sub("file:///", uri, count=1)
    scheme, authority, rest = web[1].lower(), web[2], web[3]
    authority = re.sub(rf":(?:0*{_DEFAULT_PORTS[scheme]})?\Z", "", authority)
    return f"{scheme}://{authority}{rest if rest.startswith('/') else '/' + rest}"
