import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.tokens import DerivedCodes, DerivedTokens
from grantledger.application.ports import TokenClaims, TokenSealer, Unavailable
from grantledger.domain import base64url

OLD, NEW = bytes(32), bytes(range(32))
SECRETS = MasterSecrets([NEW])
SEALER: TokenSealer = DerivedTokens(SECRETS, "main")
NONCE = base64url.encode(bytes(range(32)))
CLAIMS = TokenClaims(
    key_id=SEALER.key_id,
    grant_id=base64url.encode(bytes(range(16))),
    generation=7,
    expires_at=1_800_000_000,
    pair=2,
)

claims = st.builds(
    TokenClaims,
    key_id=st.just(SEALER.key_id),
    grant_id=st.binary(min_size=16, max_size=16).map(base64url.encode),
    generation=st.integers(0, 2**32 - 1),
    expires_at=st.integers(0, 2**40),
    pair=st.integers(0, 15),
)
nonces = st.binary(min_size=32, max_size=32).map(base64url.encode)


def genuine(token: str, nonce: str, sealer: TokenSealer = SEALER) -> bool:
    sealed = sealer.read(token)
    return sealed is not None and sealed.is_genuine(nonce)


# Claims


@given(claims, nonces)
def test_reads_back_what_an_access_token_claims(claims, nonce):
    sealed = SEALER.read(SEALER.access_token(claims, nonce))
    assert sealed is not None
    assert (sealed.claims, sealed.is_refresh_token) == (claims, False)


@given(claims, nonces)
def test_reads_back_what_a_refresh_token_claims(claims, nonce):
    sealed = SEALER.read(SEALER.refresh_token(claims, nonce))
    assert sealed is not None
    assert (sealed.claims, sealed.is_refresh_token) == (claims, True)


@given(claims, nonces)
def test_its_own_tokens_are_genuine(claims, nonce):
    assert genuine(SEALER.access_token(claims, nonce), nonce)
    assert genuine(SEALER.refresh_token(claims, nonce), nonce)


@given(claims, nonces)
def test_the_same_claims_and_nonce_give_the_same_token(claims, nonce):
    assert SEALER.refresh_token(claims, nonce) == SEALER.refresh_token(claims, nonce)


@pytest.mark.parametrize("prefix", ["glat_", "glrt_"])
def test_a_token_is_a_prefix_for_secret_scanners_and_72_url_safe_characters(prefix):
    token = SEALER.access_token(CLAIMS, NONCE) if prefix == "glat_" else SEALER.refresh_token(CLAIMS, NONCE)
    assert token.startswith(prefix)
    assert base64url.decode(token[5:]) is not None
    assert len(token) == 77


# A token once shipped must be read by every later release: change the format byte, not these.
def test_an_access_token_of_format_1_keeps_its_text():
    assert (
        SEALER.access_token(CLAIMS, NONCE)
        == "glat_AVpdJ10AAQIDBAUGBwgJCgsMDQ4PAAAABwAAAABrSdIAAnhFpbjI1gwgQo2PLscWsh-mPx7j"
    )


def test_a_refresh_token_of_format_1_keeps_its_text():
    assert (
        SEALER.refresh_token(CLAIMS, NONCE)
        == "glrt_AVpdJ10AAQIDBAUGBwgJCgsMDQ4PAAAABwAAAABrSdIAApZ6lrx0Hzoy2arlNnxRU1CuCK9V"
    )


# Forgeries


@given(claims, nonces, st.integers(0, 53), st.integers(1, 255))
def test_no_flipped_byte_is_genuine(claims, nonce, index, flip):
    token = SEALER.access_token(claims, nonce)
    raw = bytearray(base64url.decode(token[5:]) or b"")
    raw[index] ^= flip
    assert not genuine("glat_" + base64url.encode(bytes(raw)), nonce)


@given(claims, nonces, st.integers(0, 76), st.characters())
def test_no_changed_character_is_genuine(claims, nonce, index, character):
    token = SEALER.refresh_token(claims, nonce)
    changed = token[:index] + character + token[index + 1 :]
    assume(changed != token)
    assert not genuine(changed, nonce)


@given(claims, nonces, st.integers(0, 76))
def test_does_not_read_a_truncated_token(claims, nonce, length):
    assert SEALER.read(SEALER.access_token(claims, nonce)[:length]) is None


@given(claims, nonces, st.text(min_size=1, max_size=4))
def test_does_not_read_a_token_with_a_tail(claims, nonce, tail):
    assert SEALER.read(SEALER.access_token(claims, nonce) + tail) is None


@given(claims, nonces, nonces)
def test_a_token_of_another_grant_with_the_same_id_is_not_genuine(claims, nonce, other):
    assume(nonce != other)
    assert not genuine(SEALER.access_token(claims, nonce), other)


def test_an_access_token_is_no_refresh_token_under_its_prefix():
    assert not genuine(SEALER.access_token(CLAIMS, NONCE).replace("glat_", "glrt_"), NONCE)


def test_a_refresh_token_is_no_access_token_under_its_prefix():
    assert not genuine(SEALER.refresh_token(CLAIMS, NONCE).replace("glrt_", "glat_"), NONCE)


def test_a_token_of_another_realm_is_not_genuine():
    elsewhere = DerivedTokens(SECRETS, "other")
    assert not genuine(elsewhere.access_token(CLAIMS, NONCE), NONCE)


def test_realm_and_nonce_cannot_be_confused_in_the_mac():
    one = DerivedTokens(SECRETS, "main").access_token(CLAIMS, "nonce")
    assert not genuine(one, "nonc", DerivedTokens(SECRETS, "emain"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "glat_",
        "glat_" + "A" * 72,
        "glat_" + "=" * 72,
        "glat_" + "\ud800" * 72,
        "glxx_" + "A" * 72,
        "glat_" * 100_000,
    ],
)
def test_does_not_read_garbage(text):
    assert SEALER.read(text) is None


@given(st.text())
def test_does_not_fail_on_any_text(text):
    assert SEALER.read("glat_" + text) is None


@given(st.text(st.characters(codec="ascii"), min_size=72, max_size=72))
def test_no_text_of_the_right_length_is_genuine(text):
    assert not genuine("glat_" + text, NONCE)


def test_a_token_of_another_format_is_not_read():
    raw = base64url.decode(SEALER.access_token(CLAIMS, NONCE)[5:]) or b""
    assert SEALER.read("glat_" + base64url.encode(b"\x02" + raw[1:])) is None


@pytest.mark.parametrize(
    "grant_id", ["", "short", base64url.encode(bytes(17)), "A" * 21 + "B", "A" * 22 + "=="]
)
def test_refuses_a_malformed_grant_id(grant_id):
    with pytest.raises(ValueError, match="grant id"):
        SEALER.access_token(replace(CLAIMS, grant_id=grant_id), NONCE)


# Rotation


def test_the_newest_secret_seals():
    assert DerivedTokens(MasterSecrets([NEW, OLD]), "main").key_id == SEALER.key_id


def test_an_older_secret_still_verifies():
    before = DerivedTokens(MasterSecrets([OLD]), "main")
    token = before.access_token(replace(CLAIMS, key_id=before.key_id), NONCE)
    assert genuine(token, NONCE, DerivedTokens(MasterSecrets([NEW, OLD]), "main"))


def test_a_retry_is_sealed_under_the_secret_of_the_first_answer():
    before = DerivedTokens(MasterSecrets([OLD]), "main")
    claims = replace(CLAIMS, key_id=before.key_id)
    after = DerivedTokens(MasterSecrets([NEW, OLD]), "main")
    assert after.refresh_token(claims, NONCE) == before.refresh_token(claims, NONCE)


def test_a_token_under_a_dropped_secret_is_not_read():
    before = DerivedTokens(MasterSecrets([OLD]), "main")
    assert SEALER.read(before.access_token(replace(CLAIMS, key_id=before.key_id), NONCE)) is None


def test_sealing_under_a_missing_secret_is_an_outage():
    with pytest.raises(Unavailable):
        SEALER.access_token(replace(CLAIMS, key_id="00000000"), NONCE)


def test_a_token_under_another_secret_that_names_our_key_id_is_not_genuine():
    other = DerivedTokens(MasterSecrets([OLD]), "main")
    raw = base64url.decode(other.access_token(replace(CLAIMS, key_id=other.key_id), NONCE)[5:]) or b""
    forged = raw[:1] + bytes.fromhex(SEALER.key_id) + raw[5:]
    assert not genuine("glat_" + base64url.encode(forged), NONCE)


# Codes


def codes(*secrets: bytes, realm: str = "main") -> DerivedCodes:
    return DerivedCodes(KeyedDigests(MasterSecrets(list(secrets)), realm))


def test_a_transaction_has_one_code():
    assert codes(OLD).code_of("transaction") == codes(OLD).code_of("transaction")


def test_a_code_is_recognisable_and_has_256_bits():
    assert re.fullmatch(r"glac_transaction[A-Za-z0-9_-]{43}", codes(OLD).code_of("transaction"))


def test_a_code_names_its_transaction():
    assert codes(OLD).transaction_of(codes(OLD).code_of("transaction")) == "transaction"


def test_a_code_is_known_after_the_master_secret_was_rotated():
    assert codes(NEW, OLD).transaction_of(codes(OLD).code_of("transaction")) == "transaction"


def test_a_code_under_an_unknown_master_secret_names_nothing():
    assert codes(NEW).transaction_of(codes(OLD).code_of("transaction")) is None


def test_a_code_of_another_realm_names_nothing():
    assert codes(OLD).transaction_of(codes(OLD, realm="other").code_of("transaction")) is None


@given(st.one_of(st.text(max_size=120), st.text(max_size=120).map("glac_{}".format)))
def test_any_other_text_names_no_transaction(text: str):
    assert codes(OLD).transaction_of(text) is None


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_code_with_another_character_names_no_transaction(at: int, character: str):
    code = codes(OLD).code_of("transaction")
    at %= len(code)
    forged = code[:at] + character + code[at + 1 :]
    assume(forged != code)
    assert codes(OLD).transaction_of(forged) is None


def test_two_transactions_have_two_codes():
    assert codes(OLD).code_of("one") != codes(OLD).code_of("two")


def test_a_code_depends_on_the_master_secret():
    assert codes(OLD).code_of("transaction") != codes(NEW).code_of("transaction")


def test_codes_follow_the_newest_master_secret():
    assert codes(NEW, OLD).code_of("transaction") == codes(NEW).code_of("transaction")


def test_a_code_depends_on_the_realm():
    assert codes(OLD).code_of("transaction") != codes(OLD, realm="other").code_of("transaction")
