from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.password import (
    PasswordIsAddress,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
    check_is_no_repetition,
    check_is_not_address,
    check_length,
    cores,
    is_too_long,
    password_bytes,
)


def test_a_password_of_eleven_characters_is_too_short():
    with pytest.raises(PasswordTooShort):
        check_length("12345678901")


def test_a_password_of_twelve_characters_is_accepted():
    check_length("123456789012")


@pytest.mark.parametrize("password", ["x" * 1025, "\u00e9" * 513])
def test_a_password_of_more_than_1024_bytes_is_too_long(password):
    with pytest.raises(PasswordTooLong):
        check_length(password)


@pytest.mark.parametrize("password", ["x" * 1024, "\u00e9" * 512, "e\u0301" * 512])
def test_a_password_of_1024_bytes_is_accepted_however_accents_are_typed(password):
    check_length(password)


@pytest.mark.parametrize("check", [check_length, is_too_long])
def test_a_password_that_is_far_too_long_is_refused_before_its_accents_are_composed(monkeypatch, check):
    """To compose 4,000 accents takes 0.1 s, in which the server answers nobody."""
    monkeypatch.setattr("grantledger.domain.password.unicodedata", None)
    with suppress(PasswordTooLong):
        assert check("a" + "\u0301" * 4_000)


def test_two_ways_to_type_an_accent_are_one_password():
    assert password_bytes("caf\u00e9") == password_bytes("cafe\u0301")


@pytest.mark.parametrize(
    "password", ["ada.lovelace@example.com", " Ada.Lovelace@EXAMPLE.com", "ada.lovelace", "ADA.LOVELACE"]
)
def test_the_address_is_refused_as_a_password(password):
    with pytest.raises(PasswordIsAddress):
        check_is_not_address(password, "Ada.Lovelace@example.com")


def test_a_password_may_contain_the_address():
    check_is_not_address("ada.lovelace counts", "ada.lovelace@example.com")


@pytest.mark.parametrize("password", ["aaaaaaaaaaaa", "ababababababa", "Abcabcabcabc", "12341234123412"])
def test_up_to_four_characters_repeated_are_too_common(password):
    with pytest.raises(PasswordTooCommon):
        check_is_no_repetition(password)


@pytest.mark.parametrize("password", ["abcdeabcdeabcde", "correct horse battery staple", "abcdefghijkl"])
def test_more_than_four_characters_repeated_are_accepted(password):
    check_is_no_repetition(password)


@pytest.mark.parametrize(
    "password",
    ["password", "PassWord", "passwordpassword", "passwordpass", "password2026", "!!password", "xxpassword"],
)
def test_a_common_password_is_found_inside_a_password_built_from_it(password):
    assert "password" in set(cores(password))


@pytest.mark.parametrize("password", ["password20261", "my password is long", "passw0rd"])
def test_a_common_password_is_not_found_in_other_passwords(password):
    assert "password" not in set(cores(password))


@given(st.text(min_size=12, max_size=1024))
def test_looking_for_common_passwords_never_fails(password):
    assert password.casefold() in set(cores(password))
