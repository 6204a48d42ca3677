import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import Vault
from grantledger.adapters.ledger.private_records import Sealer
from grantledger.application.ports import Unavailable

OLD, NEW = bytes(32), bytes(range(32))
VAULT = Vault(MasterSecrets([NEW]), "main")
BEFORE = Vault(MasterSecrets([OLD]), "main")
BOTH = Vault(MasterSecrets([NEW, OLD]), "main")
KEY_ID, SEALED = VAULT.seal("glu_ann", "email", "ann@example.com")


def test_implements_the_sealer_of_the_ledger():
    sealer: Sealer = VAULT
    assert sealer.open(KEY_ID, "glu_ann", "email", SEALED) == "ann@example.com"


@given(st.text(), st.text(), st.text(st.characters(codec="utf-8")))
def test_opens_what_it_sealed(subject, name, value):
    key_id, sealed = VAULT.seal(subject, name, value)
    assert VAULT.open(key_id, subject, name, sealed) == value


def test_a_sealed_value_is_not_readable():
    assert b"ann" not in SEALED


def test_two_seals_of_one_value_differ():
    assert VAULT.seal("glu_ann", "email", "ann@example.com")[1] != SEALED


def test_cannot_be_opened_for_another_subject():
    with pytest.raises(Unavailable):
        VAULT.open(KEY_ID, "glu_bob", "email", SEALED)


def test_cannot_be_opened_under_another_name():
    with pytest.raises(Unavailable):
        VAULT.open(KEY_ID, "glu_ann", "password_hash", SEALED)


def test_cannot_be_opened_in_another_realm():
    with pytest.raises(Unavailable):
        Vault(MasterSecrets([NEW]), "other").open(KEY_ID, "glu_ann", "email", SEALED)


def test_tells_subject_and_name_apart():
    with pytest.raises(Unavailable):
        VAULT.open(KEY_ID, "glu_an", "nemail", SEALED)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_cannot_be_opened_with_a_flipped_byte(index, flip):
    damaged = bytearray(SEALED)
    damaged[index] ^= flip
    with pytest.raises(Unavailable):
        VAULT.open(KEY_ID, "glu_ann", "email", bytes(damaged))


@given(st.integers(0, len(SEALED) - 1))
def test_cannot_be_opened_when_truncated(length):
    with pytest.raises(Unavailable):
        VAULT.open(KEY_ID, "glu_ann", "email", SEALED[:length])


def test_a_value_that_cannot_be_opened_is_an_outage_that_names_the_record():
    with pytest.raises(Unavailable) as outage:
        VAULT.open(KEY_ID, "glu_bob", "email", SEALED)
    assert str(outage.value) == "the 'email' of 'glu_bob' cannot be unsealed: it is damaged"


def test_opens_what_an_older_secret_sealed():
    key_id, sealed = BEFORE.seal("glu_ann", "email", "ann@example.com")
    assert BOTH.open(key_id, "glu_ann", "email", sealed) == "ann@example.com"


def test_seals_under_the_newest_secret():
    assert BOTH.seal("glu_ann", "email", "ann@example.com")[0] == KEY_ID


def test_a_dropped_secret_is_an_outage():
    key_id, sealed = BEFORE.seal("glu_ann", "email", "ann@example.com")
    with pytest.raises(Unavailable, match=key_id):
        VAULT.open(key_id, "glu_ann", "email", sealed)


def test_looks_up_under_every_secret_newest_first():
    expected = VAULT.lookups("email", "ann@example.com") + BEFORE.lookups("email", "ann@example.com")
    assert BOTH.lookups("email", "ann@example.com") == expected


def test_lookups_depend_on_the_name():
    assert VAULT.lookups("email", "ann") != VAULT.lookups("phone", "ann")


def test_lookups_depend_on_the_realm():
    assert Vault(MasterSecrets([NEW]), "other").lookups("email", "ann") != VAULT.lookups("email", "ann")
