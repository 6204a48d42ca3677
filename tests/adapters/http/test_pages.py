"""Every page is well-formed, named, labelled, and within the content security policy."""

import re
from itertools import pairwise

import pytest
from jinja2 import UndefinedError
from msgspec.structs import replace

from grantledger.adapters.http.pages.rendering import (
    PAGE_CSS_DIGEST,
    ContinuePage,
    ErrorPage,
    FrontPage,
    LeavePage,
    Notice,
    PageRenderer,
    SignInAgainPage,
)
from support.rendered_pages import (
    ACCOUNT,
    ALLOWED,
    APP,
    CONSENT,
    ERROR,
    PASSWORD,
    REFUSED,
    SIGN_IN,
    SIGN_UP,
    Document,
    pages,
    words,
)

AT_A_HOST = replace(ACCOUNT, built_in=False, own_sessions=False)

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
    "sign-in again": pages(
        SignInAgainPage(
            base_path="/auth",
            home="/auth/authorize",
            login_page="/login?transaction=t1",
            reason="The application asks you to sign in once more.",
        )
    ),
    "the end of a sign-in at a host": pages(
        ContinuePage(
            base_path="/auth",
            home="/auth/authorize",
            user_name="Ada",
            url=f"/auth/authorize/s/{'S' * 22}/t1",
        )
    ),
    "sign-up": pages(SIGN_UP),
    "sign-up with a wrong address": pages(replace(SIGN_UP, problem="No address.", at="email")),
    "sign-up with a short password": pages(replace(SIGN_UP, problem="Too short.", at="password")),
    "account": pages(ACCOUNT),
    "account without apps": pages(replace(ACCOUNT, apps=(), notice=Notice("Done."))),
    "account of a host's user": pages(replace(AT_A_HOST, logout_page="/logout")),
    "account of a host's user who cannot sign out": pages(AT_A_HOST),
    "account of a host's user on loopback": pages(replace(ACCOUNT, built_in=False)),
    "consent of a host's user": pages(replace(CONSENT, own_sessions=False, logout_page="/logout")),
    "account with a problem": pages(replace(ACCOUNT, notice=Notice("Not done.", is_problem=True))),
    "password": pages(PASSWORD),
    "password without apps": pages(replace(PASSWORD, has_apps=False)),
    "password with a wrong one": pages(replace(PASSWORD, problem="Wrong.", at="old")),
    "password with a short one": pages(replace(PASSWORD, problem="Too short.", at="new")),
}

LEAVE = LeavePage(
    base_path="/auth",
    home="/auth/authorize",
    problem="No scope is left.",
    redirect_host="evil.example",
    is_private_use=False,
    url="https://evil.example/?error=invalid_scope",
    correlation_id="01JD2M",
)

RENDERED["an error for an address that needs a click"] = pages(LEAVE)
RENDERED["an error for a private scheme"] = pages(replace(LEAVE, is_private_use=True, url="com.example:/x"))

FRONT = FrontPage(
    base_path="/auth",
    home="/auth/authorize",
    resource_names={"https://mcp.example/notes": "Notes", "https://mcp.example": "https://mcp.example"},
    metadata="https://mcp.example/auth/.well-known/oauth-authorization-server",
    documentation="https://docs.example/",
    specification="https://modelcontextprotocol.io/",
)

RENDERED["the front page"] = pages(FRONT)
RENDERED["the front page without documentation"] = pages(replace(FRONT, documentation=None))

every_page = pytest.mark.parametrize("html", [pytest.param(html, id=name) for name, html in RENDERED.items()])


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
        # Only the page that names an unknown address links to it.
        assert str(link["href"]).startswith(ours) or link["rel"] == "noreferrer"


def test_a_value_that_is_missing_is_an_error_and_not_a_blank():
    class Misspelt(ErrorPage, frozen=True):
        def __getattribute__(self, name: str) -> object:
            if name == "title":
                raise AttributeError(name)
            return super().__getattribute__(name)

    values = {field: getattr(ERROR, field) for field in ERROR.__struct_fields__}
    with pytest.raises(UndefinedError, match="title"):
        PageRenderer({Misspelt: "error.html"})(Misspelt(**values))


def test_an_error_says_what_happened_and_what_to_do():
    document = Document(pages(ERROR))
    assert words(*document.text_in["h1"]) == "This sign-in has expired"
    assert "It was left open for too long." in document.text
    assert document.text_in["li"] == ["Go back to your application.", "Start again.", "See your account"]
    assert "give this number: 01JD2M" in document.text


def test_a_password_change_offers_to_disconnect_apps_only_where_there_are_some():
    offered = [
        bool(Document(pages(replace(PASSWORD, has_apps=has_apps))).all("input", name="disconnect"))
        for has_apps in (True, False)
    ]
    assert offered == [True, False]


def test_a_disabled_app_lists_nothing_that_it_may_do():
    listed = [
        Document(pages(replace(ACCOUNT, apps=(replace(APP, disabled=disabled),)))).text
        for disabled in (False, True)
    ]
    assert ["notes:write" in text for text in listed] == [True, False]
    assert "it can do nothing now" in listed[1]
