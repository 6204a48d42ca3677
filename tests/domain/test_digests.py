from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.digests import digest, length_prefixed


def test_a_digest_is_the_sha_256_of_fips_180_in_base64url():
    assert digest("abc") == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"


def test_a_digest_does_not_hold_the_secret():
    assert "secret" not in digest("secret")


texts = st.lists(st.text(), max_size=4)


@given(texts, texts)
def test_two_lists_of_texts_never_give_the_same_bytes(one, other):
    assert (length_prefixed(*one) == length_prefixed(*other)) == (one == other)


def test_moving_a_letter_to_the_next_text_gives_other_bytes():
    assert length_prefixed("ab", "c") != length_prefixed("a", "bc")
