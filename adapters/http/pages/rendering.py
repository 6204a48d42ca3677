"""The templates of the pages, and their values. An attacker may have written any of the values."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from msgspec import Struct

from grantledger.domain.scope import EMAIL, PROFILE

_WORDS = {
    "openid": "Know which account here is yours",
    "profile": "See your name",
    "email": "See your e-mail address",
    "roles": "See your roles and permissions",
    "offline_access": "Keep its access while you are away",
}

# Controls and surrogates are not text. Bidirectional controls could reorder our own words, because a stray
# "pop" also ends the isolation of <bdi>.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")
"""Letters and symbols that nobody can see: Hangul fillers, an empty Braille cell, a null notehead."""

_HOST = re.compile(r"[a-z0-9.-]+")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


_OF_OUR_ACCOUNTS = frozenset({PROFILE, EMAIL})
"""Of the users of a host application we know neither name nor address, so these scopes give neither."""


def words_for(scope: str, *, built_in: bool = True) -> str:
    """Return in plain words what the scope gives. Less is known of a host's users (not `built_in`)."""
    words = None if scope in _OF_OUR_ACCOUNTS and not built_in else _WORDS.get(scope)
    return words or f"Use “{scope}” at this server"


def without_controls(value: Any) -> Any:
    return _NOT_TEXT.sub("\ufffd", value) if isinstance(value, str) else value


def claimed_name(claimed: str | None) -> str | None:
    """Return the name, None if it has no visible character."""
    if claimed is None or not any(unicodedata.category(c)[0] in "LNPS" and c not in _BLANK for c in claimed):
        return None
    return claimed


def https_host(uri: str | None) -> str | None:
    """Return the host in ASCII, if the URI is https and no parser can read another host from it."""
    if uri is None or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError:  # a malformed URI, or a host that is no DNS name
        return None
    return host if parts.scheme == "https" and _HOST.fullmatch(host) else None


def moment(seconds: int) -> str:
    """Return a time such as `21 November 2026, 13:14 UTC`. The time zone of the user is unknown."""
    time = datetime.fromtimestamp(seconds, UTC)
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M} UTC"


def machine_moment(seconds: int) -> str:
    """Return the time for the `datetime` attribute of `<time>`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def action(home: str, segment: str) -> str:
    """Return the path of a page. Each of its forms appends one segment."""
    return f"{home}/{quote(segment, safe='', errors='replace')}"


class TemplateContext(Struct, frozen=True, kw_only=True):
    """The values of one template."""

    base_path: str
    home: str
    """The path that the pages of this session are below."""


class FormContext(TemplateContext, frozen=True, kw_only=True):
    segment: str
    csrf_token: str


class SignInPage(FormContext, frozen=True, kw_only=True):
    """`resource_name` is None if there is no pending request: then the user opens the account pages."""

    client_name: str | None = None
    resource_name: str | None = None
    email: str = ""
    problem: str | None = None
    notice: str | None = None
    offers_sign_up: bool = False
    self_registered: bool = False


class SignUpPage(FormContext, frozen=True, kw_only=True):
    """`at` is the field with the problem: email, name or password."""

    min_password: int
    max_name: int
    email: str = ""
    name: str = ""
    problem: str | None = None
    at: str | None = None


class SignInAgainPage(TemplateContext, frozen=True, kw_only=True):
    login_page: str
    reason: str


class ContinuePage(TemplateContext, frozen=True, kw_only=True):
    """The last step of a sign-in at a host, for a browser that does not come from a page of this origin."""

    user_name: str
    url: str


class ScopeLine(Struct, frozen=True):
    scope: str
    words: str


def scope_lines(scopes: Iterable[str], *, built_in: bool) -> tuple[ScopeLine, ...]:
    """Return the scopes as pages list them. `built_in` says that the accounts are ours, not a host's."""
    return tuple(ScopeLine(scope, words_for(scope, built_in=built_in)) for scope in scopes)


class ConsentPage(FormContext, frozen=True, kw_only=True):
    """`own_sessions` and `logout_page` are as on the account page.

    `scopes` are all scopes that the client gets. `allowed_before` are those that the user allowed it before.
    """

    user_name: str
    own_sessions: bool = True
    logout_page: str | None = None
    client_name: str | None
    client_id: str
    client_uri: str | None
    redirect_host: str
    is_loopback: bool
    is_private_use: bool
    self_registered: bool
    refreshes: bool
    """Whether the client gets a refresh token, so that its access does not end by itself."""
    scopes: tuple[ScopeLine, ...]
    allowed_before: tuple[ScopeLine, ...] = ()
    resource: str
    resource_name: str


class AppAccess(Struct, frozen=True, kw_only=True):
    resource: str
    resource_name: str
    scopes: tuple[ScopeLine, ...]


class App(Struct, frozen=True, kw_only=True):
    """A connected app. `since` is None if only a remembered consent is left."""

    client_id: str
    client_name: str | None
    hosts: tuple[str, ...]
    access: tuple[AppAccess, ...]
    connections: int
    since: int | None
    last_refresh: int | None
    disabled: bool


class Notice(Struct, frozen=True):
    """The result of the form that the user sent before this page."""

    words: str
    is_problem: bool = False


class AccountPage(FormContext, frozen=True, kw_only=True):
    """With `built_in`, users have a password here. With `own_sessions`, they sign out here."""

    user_name: str
    apps: tuple[App, ...]
    built_in: bool
    own_sessions: bool = True
    logout_page: str | None = None
    notice: Notice | None = None


class PasswordPage(FormContext, frozen=True, kw_only=True):
    """`at` is the field with the problem: old or new."""

    user_name: str
    min_password: int
    has_apps: bool
    problem: str | None = None
    at: str | None = None


class FrontPage(TemplateContext, frozen=True, kw_only=True):
    """`documentation` is the URL that the operator has set, None if there is none."""

    resource_names: Mapping[str, str]
    metadata: str
    documentation: str | None
    specification: str


class Link(Struct, frozen=True):
    words: str
    path: str


class ErrorPage(TemplateContext, frozen=True, kw_only=True):
    title: str
    explanation: str
    way_out: tuple[str, ...]
    links: tuple[Link, ...] = ()
    correlation_id: str


class LeavePage(TemplateContext, frozen=True, kw_only=True):
    """The redirect URI of an error response, and the error. The user has not trusted that address yet."""

    problem: str
    redirect_host: str
    is_private_use: bool
    url: str
    correlation_id: str


_TEMPLATES_FOLDER = Path(__file__).parent / "templates"

PAGE_CSS = (_TEMPLATES_FOLDER / "page.css").read_bytes()
PAGE_CSS_DIGEST = hashlib.sha256(PAGE_CSS).hexdigest()[:8]

_TEMPLATES: dict[type[TemplateContext], str] = {
    SignInPage: "sign_in.html",
    SignUpPage: "sign_up.html",
    SignInAgainPage: "sign_in_again.html",
    ContinuePage: "continue.html",
    ConsentPage: "consent.html",
    AccountPage: "account.html",
    PasswordPage: "password.html",
    FrontPage: "front.html",
    ErrorPage: "error.html",
    LeavePage: "leave.html",
}


class PageRenderer:
    def __init__(self, names: Mapping[type[TemplateContext], str] = _TEMPLATES) -> None:
        templates = Environment(
            loader=FileSystemLoader(_TEMPLATES_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=without_controls,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.filters |= {
            "claimed_name": claimed_name,
            "https_host": https_host,
            "moment": moment,
            "machine_moment": machine_moment,
        }
        templates.globals["css_digest"] = PAGE_CSS_DIGEST
        templates.get_template("page.html")  # compile now, not at the first request
        self._templates: dict[type[TemplateContext], Template] = {
            page: templates.get_template(name) for page, name in names.items()
        }

    def __call__(self, page: TemplateContext) -> str:
        """Return the page as HTML."""
        more: dict[str, Any] = {"account": f"{page.home}/account"}
        if isinstance(page, FormContext):
            more["action"] = action(page.home, page.segment)
        return self._templates[type(page)].render(page=page, **more)
