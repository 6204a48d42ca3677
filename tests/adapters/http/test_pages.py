"""The pages say what they must, and nothing that a stranger wrote becomes more than text."""

import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from msgspec.structs import replace

from grantledger.adapters.http.pages.models import (
    AccountPage,
    App,
    AppAccess,
    ConsentPage,
    ErrorPage,
    Link,
    PasswordPage,
    ScopeLine,
    SignInAgainPage,
    SignInPage,
    SignUpPage,
)
from grantledger.adapters.http.pages.render import PAGE_CSS, PAGE_CSS_DIGEST, Pages
from grantledger.adapters.http.pages.words import words_for

VOID = {"br", "hr", "img", "input", "link", "meta"}
ALLOWED = {
    *("html", "head", "meta", "title", "link", "body", "header", "main", "section", "div"),
    *("h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "time", "strong", "bdi", "code", "a"),
    *("form", "label", "input", "button"),
}

pages = Pages()

SIGN_IN = SignInPage(
    base_path="/auth",
    place="t1",
    csrf_token="csrf-1",
    client_name="Claude Code",
    resource_name="Notes",
)
REFUSED = replace(SIGN_IN, email="ada@example.com", problem="E-mail address or password is wrong.")
CONSENT = ConsentPage(
    base_path="/auth",
    place="t1",
    csrf_token="csrf-1",
    user_name="ada@example.com",
    client_name="Claude",
    client_id="client-1",
    client_uri="https://claude.ai/about",
    redirect_host="claude.ai",
    is_loopback=False,
    is_private_use=False,
    self_registered=False,
    scopes=(ScopeLine("email", words_for("email")), ScopeLine("notes:write", "Write your notes")),
    resource="https://mcp.example/notes",
    resource_name="Notes",
)
ERROR = ErrorPage(
    base_path="/auth",
    title="This sign-in has expired",
    explanation="It was left open for too long.",
    way_out=("Go back to your application.", "Start again."),
    links=(Link("See your account", "/auth/authorize/account"),),
    correlation_id="01JD2M",
)
SIGN_UP = SignUpPage(base_path="/auth", place="t1", csrf_token="csrf-1", min_password=8)
PASSWORD = PasswordPage(
    base_path="/auth", place="account", csrf_token="csrf-1", user_name="ada@example.com", min_password=8
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
    place="account",
    csrf_token="csrf-1",
    user_name="ada@example.com",
    apps=(
        APP,
        replace(APP, client_id="client-2", last_refresh=None, connections=1, disabled=True),
        replace(APP, client_id="client-3", client_name=None, since=None, connections=0),
    ),
    built_in=True,
)
RENDERED = {
    "sign-in": pages(SIGN_IN),
    "sign-in with a problem": pages(REFUSED),
    "consent": pages(CONSENT),
    "consent with every warning": pages(
        replace(CONSENT, is_loopback=True, is_private_use=True, self_registered=True)
    ),
    "consent for a nameless client": pages(
        replace(CONSENT, client_name=None, client_uri=None, self_registered=True)
    ),
    "error": pages(ERROR),
    "sign-in to the account": pages(replace(SIGN_IN, resource_name=None, client_name=None)),
    "sign-in after sign-up": pages(replace(SIGN_IN, offers_sign_up=True, notice="There is an account.")),
    "sign-in again": pages(SignInAgainPage(base_path="/auth", login_page="/login?transaction=t1")),
    "sign-up": pages(SIGN_UP),
    "sign-up with a wrong address": pages(replace(SIGN_UP, problem="No address.", at="email")),
    "sign-up with a short password": pages(replace(SIGN_UP, problem="Too short.", at="password")),
    "account": pages(ACCOUNT),
    "account without apps": pages(replace(ACCOUNT, apps=(), notice="Done.")),
    "account of a host's user": pages(replace(ACCOUNT, built_in=False, logout_page="/logout")),
    "account of a host's user who cannot sign out": pages(replace(ACCOUNT, built_in=False)),
    "consent of a host's user": pages(replace(CONSENT, built_in=False, logout_page="/logout")),
    "password": pages(PASSWORD),
    "password with a wrong one": pages(replace(PASSWORD, problem="Wrong.", at="old")),
    "password with a short one": pages(replace(PASSWORD, problem="Too short.", at="new")),
}
every_page = pytest.mark.parametrize("html", [pytest.param(html, id=name) for name, html in RENDERED.items()])

MARKUP = ["<", ">", "&", '"', "'", "`", "=", "/", "&lt;", "&#60", "{{", "}}", "{%", "%}"]
TAGS = ["</bdi>", "</title>", "<script>", "<!--", "-->", "]]>", "<?", "<p onclick=x>"]
NOT_TEXT = ["\0", "\x0b", "\x7f", "\x85", "\ud800", "\u202e", "\u2066", "\u2069"]
strings = st.text(st.characters(), max_size=200) | st.lists(
    st.sampled_from([*MARKUP, *TAGS, *NOT_TEXT, "x", "\u05d0", " ", "\n", "\r", "\u2028"]), max_size=30
).map("".join)


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
    """White space as a browser shows it."""
    return " ".join("".join(text).split())


def shown(value: str) -> str:
    """What may be seen of a value: what is not text became a replacement character."""
    return words(
        re.sub("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "\ufffd", value)
    )


# What every page is


@every_page
def test_every_page_is_well_formed(html):
    Document(html)


@every_page
def test_every_page_uses_only_elements_that_we_chose(html):
    assert {tag for tag, _ in Document(html).elements} <= ALLOWED


@every_page
def test_every_page_names_its_language_its_title_and_its_viewport(html):
    document = Document(html)
    assert document.all("html", lang="en")
    assert len(words(*document.text_in["title"]).removesuffix("Grantledger")) > 3
    assert document.all("meta", name="viewport", content="width=device-width, initial-scale=1")


@every_page
def test_every_page_has_its_headings_in_order(html):
    levels = [int(tag[1]) for tag, _ in Document(html).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


@every_page
def test_every_field_has_a_label_and_every_reference_a_target(html):
    document = Document(html)
    ids = document.ids()
    assert len(ids) == len(set(ids))
    labelled = {label["for"] for label in document.all("label")}
    fields = [field for field in document.all("input") if field["type"] != "hidden"]
    assert {field["id"] for field in fields} == labelled
    assert {i for _, a in document.elements for i in str(a.get("aria-describedby", "")).split()} <= {*ids}


@every_page
def test_every_page_lives_within_the_content_security_policy(html):
    document = Document(html)
    for _, attributes in document.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    icon, sheet = document.all("link")
    assert str(icon["href"]).startswith("data:image/svg+xml,")
    assert sheet == {
        "rel": "stylesheet",
        "href": f"/auth/authorize/assets/page.css?v={PAGE_CSS_DIGEST}",
    }


@every_page
def test_every_form_posts_its_csrf_token(html):
    document = Document(html)
    assert document.all("form") == document.all("form", method="post")
    tokens = document.all("input", type="hidden", name="csrf_token", value="csrf-1")
    assert len(tokens) == len(document.all("form"))


@every_page
def test_every_link_leads_to_a_page_of_ours_or_of_the_host(html):
    ours = ("/auth/authorize/", "/login?transaction=", "/logout")
    for link in Document(html).all("a"):
        assert str(link["href"]).startswith(ours)


def test_a_value_that_is_missing_is_an_error_and_not_a_blank():
    class Misspelt(ErrorPage, frozen=True):
        def __getattribute__(self, name: str) -> object:
            if name == "title":
                raise AttributeError(name)
            return super().__getattribute__(name)

    told = {field: getattr(ERROR, field) for field in ERROR.__struct_fields__}
    with pytest.raises(UndefinedError, match="title"):
        Pages({Misspelt: "error.html"})(Misspelt(**told))


# Sign-in


def test_sign_in_says_who_asks_for_what():
    assert "to continue to Claude Code which asks to use Notes" in Document(pages(SIGN_IN)).text


def test_sign_in_says_when_the_client_has_no_name():
    page = replace(SIGN_IN, client_name=None)
    assert "to continue to an application without a name" in Document(pages(page)).text


def test_sign_in_posts_to_its_own_transaction():
    (form,) = Document(pages(SIGN_IN)).all("form")
    assert form["action"] == "/auth/authorize/t1/sign-in"


def test_pages_live_at_the_root_without_a_base_path():
    (form,) = Document(pages(replace(SIGN_IN, base_path=""))).all("form")
    assert form["action"] == "/authorize/t1/sign-in"


def test_a_transaction_id_is_one_segment_of_the_path():
    (form,) = Document(pages(replace(SIGN_IN, place="../a?b#c"))).all("form")
    assert form["action"] == "/auth/authorize/..%2Fa%3Fb%23c/sign-in"


def test_password_managers_recognise_the_fields_of_sign_in():
    document = Document(pages(SIGN_IN))
    assert document.all("input", name="email", type="email", autocomplete="username")
    assert document.all("input", name="password", type="password", autocomplete="current-password")


def test_sign_in_starts_at_the_first_empty_field():
    def focused(page: SignInPage) -> list[str | None]:
        return [field["name"] for field in Document(pages(page)).all("input") if "autofocus" in field]

    assert focused(SIGN_IN) == ["email"]
    assert focused(REFUSED) == ["password"]


def test_a_problem_is_announced_and_tied_to_both_fields():
    document = Document(pages(REFUSED))
    (alert,) = document.all("div", role="alert")
    described = {"aria-invalid": "true", "aria-describedby": str(alert["id"])}
    assert [field["name"] for field in document.all("input", **described)] == ["email", "password"]
    assert "E-mail address or password is wrong." in document.text
    assert words(*document.text_in["title"]).startswith("Problem: Sign in")


def test_without_a_problem_nothing_is_announced():
    document = Document(pages(SIGN_IN))
    assert "alert" not in {attributes.get("role") for _, attributes in document.elements}
    assert not document.all("input", **{"aria-invalid": "true"})


def test_a_problem_keeps_the_email_and_never_a_password():
    document = Document(pages(REFUSED))
    assert document.all("input", name="email", value="ada@example.com")
    assert "value" not in document.all("input", name="password")[0]


# Consent


def test_consent_names_the_client_the_resource_and_the_user():
    assert "Claude asks to use Notes as ada@example.com" in Document(pages(CONSENT)).text


def test_consent_shows_where_access_is_sent_before_what_is_asked():
    text = Document(pages(CONSENT)).text
    assert text.index("Access is sent to claude.ai") < text.index("It may")


def test_consent_shows_scopes_in_words_and_as_they_are():
    assert Document(pages(CONSENT)).text_in["li"] == [
        "See your e-mail address email",
        "Write your notes notes:write",
    ]


def test_consent_shows_the_resource_by_name_and_identifier():
    assert "At this server Notes https://mcp.example/notes" in Document(pages(CONSENT)).text


def test_consent_shows_the_client_id():
    assert "Client id: client-1" in Document(pages(CONSENT)).text


def test_consent_warns_of_loopback():
    text = Document(pages(replace(CONSENT, is_loopback=True))).text
    assert "This address is on your own computer." in text
    assert "Any program on this computer could be behind this address" in text


def test_consent_warns_of_private_use_schemes():
    text = Document(pages(replace(CONSENT, is_private_use=True))).text
    assert "This address opens an app, not a website." in text
    assert "Any program on this computer could be behind this address" in text


def test_consent_warns_of_self_registered_clients():
    text = Document(pages(replace(CONSENT, self_registered=True))).text
    assert "Not verified. This application registered itself. Its name is its own claim" in text
    assert "Website it claims: claude.ai" in text


def test_consent_of_a_known_client_at_a_website_warns_of_nothing():
    document = Document(pages(CONSENT))
    assert not document.all("p", **{"class": "note warning"})
    assert "Website: claude.ai" in document.text


@pytest.mark.parametrize("name", [None, "", " ", "\u200b\u2060", "\u202e"])
def test_a_name_that_nobody_could_see_is_no_name(name):
    page = replace(CONSENT, client_name=name, self_registered=True)
    text = Document(pages(page)).text
    assert "An application without a name asks to use Notes" in text
    assert "It gave no name" in text


def test_deny_comes_first_and_allow_is_beside_it():
    document = Document(pages(CONSENT))
    decision, sign_out = document.all("form")
    assert decision["action"] == "/auth/authorize/t1/consent"
    assert sign_out["action"] == "/auth/authorize/t1/sign-out"
    buttons = [(button.get("name"), button.get("value")) for button in document.all("button", type="submit")]
    assert buttons == [("decision", "deny"), ("decision", "allow"), (None, None)]
    assert document.text_in["button"] == ["Deny", "Allow", "Use another account"]


def test_nothing_on_consent_has_the_focus_by_itself():
    assert not [a for _, a in Document(pages(CONSENT)).elements if "autofocus" in a]


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("https://Claude.ai/about?x=1#y", "claude.ai"),
        ("https://claude.ai:8443/", "claude.ai"),
        ("https://claude.ai@evil.example/", "evil.example"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("http://claude.ai/", None),
        ("javascript:alert(1)//claude.ai", None),
        ("https://evil.example\\@claude.ai/", None),
        ("https://[::1/", None),
        ("https://claude..ai/", None),
        ("https://", None),
        ("claude.ai", None),
        ("", None),
    ],
)
def test_a_client_uri_is_shown_as_the_host_a_browser_would_visit(uri, host):
    text = Document(pages(replace(CONSENT, client_uri=uri))).text
    assert re.findall(r"Website: (\S+)", text) == ([host] if host else [])


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("openid", "Know which account here is yours"),
        ("profile", "See your name and profile"),
        ("email", "See your e-mail address"),
        ("offline_access", "Keep its access while you are away"),
        ("notes:write", "Use “notes:write” at this server"),
    ],
)
def test_scopes_have_plain_words(scope, expected):
    assert words_for(scope) == expected


# Errors


def test_an_error_says_what_happened_and_what_to_do():
    document = Document(pages(ERROR))
    assert words(*document.text_in["h1"]) == "This sign-in has expired"
    assert "It was left open for too long." in document.text
    assert document.text_in["li"] == ["Go back to your application.", "Start again.", "See your account"]
    assert "give this number: 01JD2M" in document.text


# What strangers write


@given(strings)
def test_no_client_name_ever_produces_a_tag(name: str):
    document = Document(pages(replace(CONSENT, client_name=name)))
    assert document.shape == Document(pages(CONSENT)).shape


@given(strings)
def test_a_client_name_is_shown_as_it_is_written(name: str):
    for html in (
        pages(replace(SIGN_IN, client_name=f"A{name}")),
        pages(replace(CONSENT, client_name=f"A{name}")),
    ):
        assert shown(f"A{name}") in Document(html).text


@given(strings)
def test_no_value_on_sign_in_ever_produces_a_tag_or_an_attribute(value: str):
    page = SignInPage(
        base_path=value,
        place=value,
        csrf_token=value,
        client_name=value,
        resource_name=value,
        email=f"a{value}",
        problem=value,
    )
    assert Document(pages(page)).shape == Document(pages(REFUSED)).shape


@given(strings)
def test_no_value_on_consent_ever_produces_a_tag_or_an_attribute(value: str):
    page = ConsentPage(
        base_path=value,
        place=value,
        csrf_token=value,
        user_name=value,
        client_name=value,
        client_id=value,
        client_uri="https://claude.ai/" + value.replace("\\", ""),
        redirect_host=value,
        is_loopback=False,
        is_private_use=False,
        self_registered=False,
        scopes=(ScopeLine(value, value), ScopeLine(value, words_for(value))),
        resource=value,
        resource_name=f"{value}, by name",
    )
    assert Document(pages(page)).shape == Document(pages(CONSENT)).shape


@given(strings)
def test_no_value_on_an_error_ever_produces_a_tag_or_an_attribute(value: str):
    page = ErrorPage(
        base_path=value,
        title=value,
        explanation=value,
        way_out=(value, value),
        links=(Link(value, value),),
        correlation_id=value,
    )
    assert Document(pages(page)).shape == Document(pages(ERROR)).shape


@given(strings)
def test_no_value_on_the_account_ever_produces_a_tag_or_an_attribute(value: str):
    access = AppAccess(
        resource=value,
        resource_name=value,
        scopes=(ScopeLine(value, value), ScopeLine(value, words_for(value))),
    )
    app = replace(APP, client_id=value, client_name=value, hosts=(value,), access=(access,))
    page = replace(ACCOUNT, user_name=value, csrf_token=value, place=value, apps=(app,))
    assert Document(pages(page)).shape == Document(pages(replace(ACCOUNT, apps=(APP,)))).shape


@given(strings)
def test_no_client_uri_breaks_a_page_or_becomes_a_link(uri: str):
    for written in (uri, f"https://{uri}"):
        document = Document(pages(replace(CONSENT, client_uri=written)))
        assert {tag for tag, _ in document.elements} <= ALLOWED
        assert [link["href"] for link in document.all("a")] == ["/auth/authorize/account"]


@given(strings)
def test_every_page_can_be_sent_as_utf_8(value: str):
    pages(replace(CONSENT, client_name=value, redirect_host=value)).encode()
    pages(replace(ERROR, title=value)).encode()


def test_strings_of_strangers_cannot_reorder_our_words():
    document = Document(pages(replace(CONSENT, client_name="A\u2069\u202eB")))
    assert "A\ufffd\ufffdB" in document.text_in["bdi"]
    isolated = {words(text) for text in document.text_in["bdi"]}
    assert {"claude.ai", "client-1", "https://mcp.example/notes", "Notes", "ada@example.com"} <= isolated


# The style sheet

CSS = re.sub(r"/\*.*?\*/", "", PAGE_CSS.decode(), flags=re.DOTALL)
ROOTS = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
LIGHT, DARK = (dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", root)) for root in ROOTS)
INKS = [name for name in LIGHT if name.startswith("--ink")]
SURFACES = [name for name in LIGHT if name.startswith("--surface")]
READ = [*product(INKS, SURFACES), ("--button-ink", "--button"), ("--button-ink", "--button-hover")]
SEEN = [*product(("--edge", "--focus"), ("--surface-card", "--surface-page", "--surface-sunk"))]
both_schemes = pytest.mark.parametrize(
    "scheme", [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")]
)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@both_schemes
@pytest.mark.parametrize(("ink", "surface"), READ)
def test_every_ink_reads_on_every_surface(scheme: dict[str, str], ink: str, surface: str):
    assert contrast(scheme[ink], scheme[surface]) >= 4.5


@both_schemes
@pytest.mark.parametrize(("line", "surface"), SEEN)
def test_edges_of_fields_and_the_focus_are_seen(scheme: dict[str, str], line: str, surface: str):
    assert contrast(scheme[line], scheme[surface]) >= 3


def test_both_schemes_name_the_same_colours():
    assert LIGHT.keys() == DARK.keys()
    assert len(ROOTS) == 2


def test_colours_are_named_and_used_for_what_they_are_named_for():
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|hwb|lab|lch|oklab|oklch|color)a?\(", rules)
    assert {*re.findall(r"var\((--[a-z-]+)\)", rules)} == LIGHT.keys()
    inks = re.findall(r"[{;\s]color: ([^;]+);", rules)
    assert {*inks} <= {f"var({ink})" for ink in (*INKS, "--button-ink")}
    grounds = re.findall(r"background(?:-color)?: var\(([^;]+)\);", rules)
    assert {*grounds} <= {*SURFACES, "--button", "--button-hover"}


def test_the_style_sheet_loads_nothing():
    assert not re.findall(r"url\(|@import|@font-face|image-set", CSS)


def test_the_digest_names_the_bytes_that_are_served():
    assert hashlib.sha256(PAGE_CSS).hexdigest().startswith(PAGE_CSS_DIGEST)
    assert re.fullmatch("[0-9a-f]{8}", PAGE_CSS_DIGEST)
