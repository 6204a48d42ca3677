"""The pages as strings. Every value on them may have been written by an attacker."""

import hashlib
import re
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

_HERE = Path(__file__).parent

PAGE_CSS = (_HERE / "page.css").read_bytes()
PAGE_CSS_DIGEST = hashlib.sha256(PAGE_CSS).hexdigest()[:8]

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


class SignInPage(Struct, frozen=True, kw_only=True):
    base_path: str
    transaction_id: str
    csrf_token: str
    client_name: str | None
    resource_name: str
    email: str = ""
    problem: str | None = None


class ScopeLine(Struct, frozen=True):
    scope: str
    words: str


class ConsentPage(Struct, frozen=True, kw_only=True):
    base_path: str
    transaction_id: str
    csrf_token: str
    user_email: str
    client_name: str | None
    client_id: str
    client_uri: str | None
    redirect_host: str
    is_loopback: bool
    is_private_use: bool
    self_registered: bool
    scopes: tuple[ScopeLine, ...]
    resource: str
    resource_name: str


class ErrorPage(Struct, frozen=True, kw_only=True):
    base_path: str
    title: str
    explanation: str
    way_out: tuple[str, ...]
    correlation_id: str


class Pages:
    def __init__(self) -> None:
        templates = Environment(
            loader=FileSystemLoader(_HERE),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_printable,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.globals["css_digest"] = PAGE_CSS_DIGEST
        templates.get_template("page.html")  # compiled now, not for the first visitor
        self._sign_in = templates.get_template("sign_in.html")
        self._consent = templates.get_template("consent.html")
        self._error = templates.get_template("error.html")

    def sign_in(self, page: SignInPage) -> str:
        return self._sign_in.render(
            page=page,
            action=_action(page.base_path, page.transaction_id),
            client_name=_name(page.client_name),
        )

    def consent(self, page: ConsentPage) -> str:
        return self._consent.render(
            page=page,
            action=_action(page.base_path, page.transaction_id),
            client_name=_name(page.client_name),
            client_host=_https_host(page.client_uri),
        )

    def error(self, page: ErrorPage) -> str:
        return self._error.render(page=page)


def words_for(scope: str) -> str:
    return _WORDS.get(scope, f"Use “{scope}” at this server")


def _printable(value: Any) -> Any:
    return _NOT_TEXT.sub("\ufffd", value) if isinstance(value, str) else value


def _name(claimed: str | None) -> str | None:
    """A name without a single visible character is none."""
    if claimed is None or not any(unicodedata.category(c)[0] in "LNPS" for c in claimed):
        return None
    return claimed


def _https_host(uri: str | None) -> str | None:
    """The host in ASCII, if the URI is https and every reader agrees where its host begins and ends."""
    if uri is None or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError:  # a malformed URI, or a name that no DNS could hold
        return None
    return host if parts.scheme == "https" and _HOST.fullmatch(host) else None


def _action(base_path: str, transaction_id: str) -> str:
    return f"{base_path}/authorize/{quote(transaction_id, safe='', errors='replace')}"
