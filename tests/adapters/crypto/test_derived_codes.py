import re

from grantledger.adapters.crypto.keyed_digest import DerivedCodes, KeyedDigests
from grantledger.adapters.crypto.master_secrets import MasterSecrets

OLD, NEW = b"o" * 32, b"n" * 32


def codes(*secrets: bytes, realm: str = "main") -> DerivedCodes:
    return DerivedCodes(KeyedDigests(MasterSecrets(list(secrets)), realm))


def test_a_transaction_has_one_code():
    assert codes(OLD).code_of("transaction") == codes(OLD).code_of("transaction")


def test_a_code_is_recognisable_and_has_256_bits():
    assert re.fullmatch(r"glac_[A-Za-z0-9_-]{43}", codes(OLD).code_of("transaction"))


def test_two_transactions_have_two_codes():
    assert codes(OLD).code_of("one") != codes(OLD).code_of("two")


def test_nobody_computes_a_code_without_the_master_secret():
    assert codes(OLD).code_of("transaction") != codes(NEW).code_of("transaction")


def test_codes_follow_the_newest_master_secret():
    assert codes(NEW, OLD).code_of("transaction") == codes(NEW).code_of("transaction")


def test_codes_of_another_realm_are_others():
    assert codes(OLD).code_of("transaction") != codes(OLD, realm="other").code_of("transaction")
