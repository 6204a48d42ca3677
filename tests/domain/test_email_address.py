import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.email_address import EmailInvalid, normalized, typed


@pytest.mark.parametrize("email", [" Ada@Example.COM ", "ada@example.com", "ADA@EXAMPLE.com"])
def test_spellings_of_one_address_have_one_normal_form(email):
    assert normalized(email) == "ada@example.com"


def test_two_encodings_of_an_accent_have_one_normal_form():
    assert normalized("zoe\u0308@example.com") == normalized("zo\u00eb@example.com")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("stra\u00dfe@example.com", "strasse@example.com"),
        ("ada@stra\u00dfe.example", "ada@strasse.example"),
        ("\uff41da@example.com", "ada@example.com"),
        ("ada@\uff45xample.com", "ada@example.com"),
        ("\u017fam@example.com", "sam@example.com"),
        ("\u0131da@example.com", "ida@example.com"),
        ("\u0130da@example.com", "ida@example.com"),
        ("\u03c2@example.com", "\u03c3@example.com"),
        ("\ufb01@example.com", "fi@example.com"),
        ("\u00c9@example.com", "\u00e9@example.com"),
        ("a.da@example.com", "ada@example.com"),
        ("ada+mcp@example.com", "ada@example.com"),
    ],
)
def test_two_mailboxes_never_have_one_normal_form(one, other):
    assert normalized(one) != normalized(other)


def test_an_address_is_kept_as_typed_without_surrounding_space():
    assert typed(" Ada.Stra\u00dfe@Example.COM ") == "Ada.Stra\u00dfe@Example.COM"


def test_a_normal_form_is_its_own_normal_form():
    once = normalized("\u00df\u0301@example.com")
    assert normalized(once) == once


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "a da@example.com",
        "ada@ex\u0000ample.com",
        "ada@nowhere@example.com",
    ],
)
def test_an_invalid_address_is_refused(email):
    with pytest.raises(EmailInvalid):
        normalized(email)


def test_an_address_of_255_characters_is_refused():
    with pytest.raises(EmailInvalid):
        normalized("a" * 243 + "@example.com")


def test_an_address_of_254_characters_is_accepted():
    assert normalized("a" * 242 + "@example.com")


@given(st.text(max_size=20), st.text(max_size=20))
def test_every_normal_form_is_its_own_normal_form(local, host):
    try:
        once = normalized(f"{local}@{host}")
    except EmailInvalid:
        return
    assert normalized(once) == once
