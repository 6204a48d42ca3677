import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.application.email_address import EmailInvalid, normalized

# Without combining marks.
TEXT = st.text(st.characters(exclude_categories=["M"]), max_size=20)
LONGEST = "a" * (254 - len("@example.com")) + "@example.com"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ada@example.com", "ada@example.com"),
        (" Ada@Example.COM\n", "ada@example.com"),
        ("\uff41da@example.com", "ada@example.com"),
        ("ada\uff20example.com", "ada@example.com"),
        ("STRASSE@example.com", "stra\u00dfe@example.com".replace("\u00df", "ss")),
        ("ada+notes@example.com", "ada+notes@example.com"),
        ('"a@b"@example.com', '"a@b"@example.com'),
        ("\u00fcmit@b\u00fccher.example", "\u00fcmit@b\u00fccher.example"),
        (LONGEST, LONGEST),
    ],
)
def test_an_address_has_one_spelling(written, meant):
    assert normalized(written) == meant


def test_a_letter_and_its_accent_are_one_character():
    assert normalized("u\u0308mit@example.com") == normalized("\u00fcmit@example.com")


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "ada",
        "@",
        "ada@",
        "@example.com",
        "ada lovelace@example.com",
        "ada@exa\tmple.com",
        "ada@example.com\nBcc: all@example.com",
        "ada\u200b@example.com",
        "ada\x00@example.com",
        "ada\ud800@example.com",
        "a" + LONGEST,
    ],
)
def test_refuses_what_is_no_address(written):
    with pytest.raises(EmailInvalid):
        normalized(written)


@given(TEXT, TEXT)
def test_the_one_spelling_is_its_own(local, host):
    try:
        once = normalized(f"{local}@{host}")
    except EmailInvalid:
        return
    assert normalized(once) == once
