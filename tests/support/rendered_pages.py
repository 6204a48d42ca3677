"""Rendered pages, and a reader of HTML that accepts only what we write."""

import re
from html.parser import HTMLParser

from msgspec.structs import replace

from grantledger.adapters.http.pages.rendering import (
    AccountPage,
    App,
    AppAccess,
    ConsentPage,
    ErrorPage,
    Link,
    PageRenderer,
    PasswordPage,
    ScopeLine,
    SignInPage,
    SignUpPage,
    words_for,
)

VOID = {"br", "hr", "img", "input", "link", "meta"}
ALLOWED = {
    *("html", "head", "meta", "title", "link", "body", "header", "main", "section", "div"),
    *("h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "time", "strong", "bdi", "code", "a"),
    *("form", "label", "input", "button"),
}

pages = PageRenderer()

SIGN_IN = SignInPage(
    base_path="/auth",
    home="/auth/authorize",
    segment="t1",
    csrf_token="csrf-1",
    client_name="Claude Code",
    resource_name="Notes",
)

REFUSED = replace(SIGN_IN, email="ada@example.com", problem="E-mail address or password is wrong.")
CONSENT = ConsentPage(
    base_path="/auth",
    home="/auth/authorize",
    segment="t1",
    csrf_token="csrf-1",
    user_name="ada@example.com",
    client_name="Claude",
    client_id="client-1",
    client_uri="https://claude.ai/about",
    redirect_host="claude.ai",
    is_loopback=False,
    is_private_use=False,
    self_registered=False,
    refreshes=True,
    scopes=(ScopeLine("email", words_for("email")), ScopeLine("notes:write", "Write your notes")),
    resource="https://mcp.example/notes",
    resource_name="Notes",
)

ERROR = ErrorPage(
    base_path="/auth",
    home="/auth/authorize",
    title="This sign-in has expired",
    explanation="It was left open for too long.",
    way_out=("Go back to your application.", "Start again."),
    links=(Link("See your account", "/auth/authorize/account"),),
    correlation_id="01JD2M",
)

SIGN_UP = SignUpPage(
    base_path="/auth",
    home="/auth/authorize",
    segment="t1",
    csrf_token="csrf-1",
    min_password=12,
    max_name=200,
)
PASSWORD = PasswordPage(
    base_path="/auth",
    home="/auth/authorize",
    segment="account",
    csrf_token="csrf-1",
    user_name="ada@example.com",
    min_password=12,
    has_apps=True,
)

APP = App(
    client_id="client-1",
    client_name="Claude",
    hosts=("claude.ai",),
    access=(AppAccess(resource="https://mcp.example/notes", resource_name="Notes", scopes=CONSENT.scopes),),
    connections=2,
    since=1_800_000_000,
    last_refresh=1_800_003_600,
    disabled=False,
)

ACCOUNT = AccountPage(
    base_path="/auth",
    home="/auth/authorize",
    segment="account",
    csrf_token="csrf-1",
    user_name="ada@example.com",
    apps=(
        APP,
        replace(APP, client_id="client-2", last_refresh=None, connections=1, disabled=True),
        replace(APP, client_id="client-3", client_name=None, since=None, connections=0),
    ),
    built_in=True,
)


class Document(HTMLParser):
    """Reads HTML as strictly as we write it: every element closed in order, every attribute once."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text_in: dict[str, list[str]] = {}
        self._open: list[str] = []
        self._text: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    @property
    def text(self) -> str:
        return words(*self._text)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """The elements of that tag that have all of these attributes."""
        return [a for t, a in self.elements if t == tag and wanted.items() <= a.items()]

    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs)))
        self.text_in.setdefault(tag, []).append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raise AssertionError(f"HTML has no <{tag}/>")

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"closed but not open: {tag}"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._text.append(data)
        for tag in self._open:
            self.text_in[tag][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment reached the page: {data}")

    def handle_decl(self, decl: str) -> None:
        assert decl == "doctype html"
        assert not self.elements

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def words(*text: str) -> str:
    """Return the text with white space as a browser shows it."""
    return " ".join("".join(text).split())


def shown(value: str) -> str:
    """Return what a page must show for a value: replacement characters instead of control characters."""
    return words(
        re.sub("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "\ufffd", value)
    )
