import hmac

import pytest

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.application.ports import Unavailable
from grantledger.domain.secret_text import MasterSecretInvalid

OLD, NEW = bytes(range(32)), bytes(range(100, 140))


def hkdf_sha256(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 section 2 for one block, written out."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def test_derives_keys_with_hkdf():
    secrets = MasterSecrets([OLD])
    assert secrets.key("access token", secrets.newest) == hkdf_sha256(OLD, b"grantledger access token")


def test_a_key_id_is_4_bytes_of_hkdf_in_hex():
    assert MasterSecrets([OLD]).newest == hkdf_sha256(OLD, b"grantledger key id")[:4].hex()


def test_a_key_depends_on_the_purpose():
    secrets = MasterSecrets([OLD])
    assert secrets.key("access token", secrets.newest) != secrets.key("refresh token", secrets.newest)


def test_a_key_depends_on_the_secret():
    secrets = MasterSecrets([NEW, OLD])
    new, old = secrets.key_ids
    assert secrets.key("vault", new) != secrets.key("vault", old)


def test_a_key_does_not_depend_on_the_order_of_the_secrets():
    old = MasterSecrets([OLD]).newest
    assert MasterSecrets([NEW, OLD]).key("vault", old) == MasterSecrets([OLD]).key("vault", old)


def test_the_first_secret_is_the_newest():
    assert MasterSecrets([NEW, OLD]).newest == MasterSecrets([NEW]).newest


def test_knows_the_ids_of_its_secrets():
    secrets = MasterSecrets([NEW, OLD])
    assert secrets.key_ids == (MasterSecrets([NEW]).newest, MasterSecrets([OLD]).newest)
    assert all(key_id in secrets for key_id in secrets.key_ids)


def test_a_missing_secret_is_an_outage():
    with pytest.raises(Unavailable, match="00000000"):
        MasterSecrets([NEW]).key("vault", "00000000")


def test_does_not_show_its_secrets():
    secrets = MasterSecrets([NEW, OLD])
    assert repr(secrets) == f"MasterSecrets({secrets.key_ids[0]}, {secrets.key_ids[1]})"


def test_refuses_two_secrets_with_one_key_id():
    with pytest.raises(MasterSecretInvalid) as refused:
        MasterSecrets([NEW, OLD, NEW])
    assert str(refused.value) == "two master secrets have the same key id"
