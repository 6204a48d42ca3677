import pytest

from grantledger.domain.password import PasswordTooLong, PasswordTooShort, check_password, password_bytes


def test_a_password_of_seven_characters_is_too_short():
    with pytest.raises(PasswordTooShort):
        check_password("1234567")


def test_a_password_of_eight_characters_is_accepted():
    check_password("12345678")


@pytest.mark.parametrize("password", ["x" * 1025, "\u00e9" * 513])
def test_a_password_of_more_than_1024_bytes_is_too_long(password):
    with pytest.raises(PasswordTooLong):
        check_password(password)


@pytest.mark.parametrize("password", ["x" * 1024, "\u00e9" * 512, "e\u0301" * 512])
def test_a_password_of_1024_bytes_is_accepted_however_accents_are_typed(password):
    check_password(password)


def test_two_ways_to_type_an_accent_are_one_password():
    assert password_bytes("caf\u00e9") == password_bytes("cafe\u0301")
