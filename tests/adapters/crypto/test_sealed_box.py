import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.domain import base64url

OLD, NEW = bytes(32), bytes(range(32))
BOX = SealedBox(MasterSecrets([NEW]), "main")


@given(st.binary(max_size=4000), st.text())
def test_opens_what_it_sealed(plaintext, context):
    assert BOX.open(BOX.seal(plaintext, context), context) == plaintext


def test_two_boxes_with_one_content_differ():
    assert BOX.seal(b"request", "transaction") != BOX.seal(b"request", "transaction")


def test_a_box_is_33_bytes_longer_than_its_content():
    assert len(base64url.decode(BOX.seal(b"x" * 100, "transaction")) or b"") == 133


def test_does_not_open_in_another_context():
    assert BOX.open(BOX.seal(b"request", "transaction"), "another") is None


def test_does_not_open_in_another_realm():
    assert SealedBox(MasterSecrets([NEW]), "other").open(BOX.seal(b"request", "t"), "t") is None


def test_tells_realm_and_context_apart():
    assert SealedBox(MasterSecrets([NEW]), "mai").open(BOX.seal(b"request", "t"), "nt") is None


@given(st.binary(max_size=50), st.data())
def test_does_not_open_with_a_flipped_byte(plaintext, data):
    raw = bytearray(base64url.decode(BOX.seal(plaintext, "t")) or b"")
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert BOX.open(base64url.encode(bytes(raw)), "t") is None


@given(st.integers(0, 50))
def test_does_not_open_when_truncated(length):
    sealed = base64url.decode(BOX.seal(b"x" * 18, "t")) or b""
    assert BOX.open(base64url.encode(sealed[:length]), "t") is None


@pytest.mark.parametrize("text", ["", "=", "\ud800", "not a box", "A" * 100])
def test_does_not_open_garbage(text):
    assert BOX.open(text, "t") is None


def test_opens_what_an_older_secret_sealed():
    sealed = SealedBox(MasterSecrets([OLD]), "main").seal(b"request", "t")
    assert SealedBox(MasterSecrets([NEW, OLD]), "main").open(sealed, "t") == b"request"


def test_does_not_open_what_a_dropped_secret_sealed():
    assert BOX.open(SealedBox(MasterSecrets([OLD]), "main").seal(b"request", "t"), "t") is None
