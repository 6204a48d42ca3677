import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain import base64url

# RFC 4648 section 10, without the padding.
VECTORS = [
    (b"", ""),
    (b"f", "Zg"),
    (b"fo", "Zm8"),
    (b"foo", "Zm9v"),
    (b"foob", "Zm9vYg"),
    (b"fooba", "Zm9vYmE"),
    (b"foobar", "Zm9vYmFy"),
    (b"\xfb\xff", "-_8"),
]


@pytest.mark.parametrize(("raw", "text"), VECTORS)
def test_encodes_the_vectors_of_rfc4648(raw, text):
    assert base64url.encode(raw) == text


@pytest.mark.parametrize(("raw", "text"), VECTORS)
def test_decodes_the_vectors_of_rfc4648(raw, text):
    assert base64url.decode(text) == raw


@given(st.binary())
def test_decoding_returns_what_was_encoded(raw):
    assert base64url.decode(base64url.encode(raw)) == raw


@pytest.mark.parametrize(
    "text",
    ["Zg==", "Zh", "Z", "Zm9v\n", " Zm9v", "Zm 9v", "+_8", "-/8", "Zm9v=", "Zm9ö", "\ud800", "=", "Zm=9"],
)
def test_decoding_refuses_every_other_spelling(text):
    assert base64url.decode(text) is None


@given(st.text())
def test_decoding_never_fails_for_any_text(text):
    raw = base64url.decode(text)
    assert raw is None or base64url.encode(raw) == text
