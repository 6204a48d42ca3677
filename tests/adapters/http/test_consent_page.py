"""The consent page: who asks, where access is sent, for what, and what to beware of."""

import re

import pytest
from msgspec.structs import replace

from grantledger.adapters.http.pages.rendering import ScopeLine, words_for
from support.rendered_pages import CONSENT, Document, pages


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


READ, WRITE = ScopeLine("notes:read", "Read your notes"), ScopeLine("notes:write", "Write your notes")
MORE = replace(CONSENT, scopes=(READ, WRITE), allowed_before=(READ,))


def test_consent_shows_what_is_new_before_what_was_allowed_before():
    text = Document(pages(MORE)).text
    assert "New: it may also Write your notes notes:write You have allowed before Read your notes" in text


def test_consent_sends_every_scope_that_it_shows():
    """Fails if allowing more takes away what was allowed before."""
    (shown,) = Document(pages(MORE)).all("input", name="scope")
    assert shown["value"] == "notes:read notes:write"


def test_consent_says_so_if_nothing_is_new():
    text = Document(pages(replace(MORE, allowed_before=(READ, WRITE)))).text
    assert "It may Read your notes notes:read Write your notes notes:write Nothing new: you have" in text


def test_a_first_consent_mentions_no_earlier_one():
    assert "before" not in Document(pages(CONSENT)).text


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


@pytest.mark.parametrize("name", [None, "", " ", "\u200b\u2060", "\u202e", "\u3164", "\u2800 \uffa0"])
def test_an_invisible_name_is_no_name(name):
    page = replace(CONSENT, client_name=name, self_registered=True)
    text = Document(pages(page)).text
    assert "An application without a name asks to use Notes" in text
    assert "It gave no name" in text


def test_deny_comes_before_allow():
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
        ("profile", "See your name"),
        ("email", "See your e-mail address"),
        ("offline_access", "Keep its access while you are away"),
        ("notes:write", "Use “notes:write” at this server"),
    ],
)
def test_scopes_have_plain_words(scope, expected):
    assert words_for(scope) == expected


@pytest.mark.parametrize("scope", ["profile", "email"])
def test_consent_promises_no_personal_data_of_a_hosts_users(scope):
    """A host's users have no name and no address here, so `/userinfo` returns neither."""
    assert words_for(scope, built_in=False) == f"Use “{scope}” at this server"


def test_openid_of_a_hosts_user_means_to_know_the_account():
    assert words_for("openid", built_in=False) == "Know which account here is yours"


def test_consent_says_that_access_lasts_where_a_client_can_renew_it():
    lasts = "The application can renew its access by itself, until you disconnect it under Connected apps."
    assert lasts in Document(pages(CONSENT)).text
    assert "renew" not in Document(pages(replace(CONSENT, refreshes=False))).text
