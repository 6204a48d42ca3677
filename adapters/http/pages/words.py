"""Values as pages may show them: each was perhaps written by an attacker."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

_WORDS = {
    "openid": "Know which account here is yours",
    "profile": "See your name and profile",
    "email": "See your e-mail address",
    "offline_access": "Keep its access while you are away",
}

# Controls and surrogates are not text; the bidirectional ones would reorder our own words, since a stray
# "pop" also ends the isolation that <bdi> begins.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_HOST = re.compile(r"[a-z0-9.-]+")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def words_for(scope: str) -> str:
    return _WORDS.get(scope, f"Use “{scope}” at this server")


def printable(value: Any) -> Any:
    return _NOT_TEXT.sub("\ufffd", value) if isinstance(value, str) else value


def claimed_name(claimed: str | None) -> str | None:
    """A name without a single visible character is none."""
    if claimed is None or not any(unicodedata.category(c)[0] in "LNPS" for c in claimed):
        return None
    return claimed


def https_host(uri: str | None) -> str | None:
    """The host in ASCII, if the URI is https and every reader agrees where its host begins and ends."""
    if uri is None or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError:  # a malformed URI, or a name that no DNS could hold
        return None
    return host if parts.scheme == "https" and _HOST.fullmatch(host) else None


def moment(seconds: int) -> str:
    """A time in words, such as `21 November 2026, 13:14 UTC`: pages know no time zone of their reader."""
    time = datetime.fromtimestamp(seconds, UTC)
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M} UTC"


def machine_moment(seconds: int) -> str:
    """The same for the `datetime` attribute of `<time>`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def action(base_path: str, place: str) -> str:
    """The path that the forms of a place go to, each with a segment of its own."""
    return f"{base_path}/authorize/{quote(place, safe='', errors='replace')}"
