from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.digests import length_prefixed

texts = st.lists(st.text(), max_size=4)


@given(texts, texts)
def test_two_lists_of_texts_never_make_the_same_bytes(one, other):
    assert (length_prefixed(*one) == length_prefixed(*other)) == (one == other)


def test_moving_a_letter_to_the_next_text_makes_other_bytes():
    assert length_prefixed("ab", "c") != length_prefixed("a", "bc")
