import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.email_address import EmailInvalid, normalized


@pytest.mark.parametrize("email", [" Ada@Example.COM ", "ada@example.com", "\uff41da@example.com"])
def test_spellings_of_one_address_have_one_normal_form(email):
    assert normalized(email) == "ada@example.com"


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
        "ada\uff20nowhere@example.com",
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
