"""Untrusted values stay text: they never become markup."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from grantledger.adapters.http.pages.rendering import (
    AppAccess,
    ConsentPage,
    ErrorPage,
    Link,
    ScopeLine,
    SignInPage,
    words_for,
)
from support.rendered_pages import (
    ACCOUNT,
    ALLOWED,
    APP,
    CONSENT,
    ERROR,
    REFUSED,
    SIGN_IN,
    Document,
    pages,
    shown,
    words,
)

MARKUP = ["<", ">", "&", '"', "'", "`", "=", "/", "&lt;", "&#60", "{{", "}}", "{%", "%}"]
TAGS = ["</bdi>", "</title>", "<script>", "<!--", "-->", "]]>", "<?", "<p onclick=x>"]
NOT_TEXT = ["\0", "\x0b", "\x7f", "\x85", "\ud800", "\u202e", "\u2066", "\u2069"]

strings = st.text(st.characters(), max_size=200) | st.lists(
    st.sampled_from([*MARKUP, *TAGS, *NOT_TEXT, "x", "\u05d0", " ", "\n", "\r", "\u2028"]), max_size=30
).map("".join)


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
        home=value,
        segment=value,
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
        home=value,
        segment=value,
        csrf_token=value,
        user_name=value,
        client_name=value,
        client_id=value,
        client_uri="https://claude.ai/" + value.replace("\\", ""),
        redirect_host=value,
        is_loopback=False,
        is_private_use=False,
        self_registered=False,
        refreshes=True,
        scopes=(ScopeLine(value, value), ScopeLine(value, words_for(value))),
        allowed_before=(ScopeLine(f"{value}x", value),),
        resource=value,
        resource_name=f"{value}, by name",
    )
    usual = replace(CONSENT, allowed_before=(ScopeLine("openid", "Know you"),))
    assert Document(pages(page)).shape == Document(pages(usual)).shape


@given(strings)
def test_no_value_on_an_error_ever_produces_a_tag_or_an_attribute(value: str):
    page = ErrorPage(
        base_path=value,
        home=value,
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
    page = replace(ACCOUNT, user_name=value, csrf_token=value, segment=value, apps=(app,))
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


def test_untrusted_text_cannot_reorder_the_words_of_a_page():
    document = Document(pages(replace(CONSENT, client_name="A\u2069\u202eB")))
    assert "A\ufffd\ufffdB" in document.text_in["bdi"]
    isolated = {words(text) for text in document.text_in["bdi"]}
    assert {"claude.ai", "client-1", "https://mcp.example/notes", "Notes", "ada@example.com"} <= isolated
