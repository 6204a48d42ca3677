import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grantledger.adapters.crypto.keyed_digest import KeyedDigests, KeyedNetworkDigests
from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.domain import base64url

OLD, NEW = bytes(32), bytes(range(32))
DIGESTS = KeyedDigests(MasterSecrets([NEW]), "main")
BEFORE = KeyedDigests(MasterSecrets([OLD]), "main")
BOTH = KeyedDigests(MasterSecrets([NEW, OLD]), "main")


@given(st.text(), st.text())
def test_the_same_parts_have_the_same_digest(one, other):
    assert DIGESTS.digest("form token", one, other) == DIGESTS.digest("form token", one, other)


@given(st.lists(st.text()), st.lists(st.text()))
def test_different_parts_have_different_digests(one, other):
    assume(one != other)
    assert DIGESTS.digest("form token", *one) != DIGESTS.digest("form token", *other)


def test_a_digest_is_43_url_safe_characters():
    digest = DIGESTS.digest("form token", "a")
    assert (len(digest), len(base64url.decode(digest) or b"")) == (43, 32)


def test_a_digest_depends_on_the_purpose():
    assert DIGESTS.digest("form token", "a") != DIGESTS.digest("caller address", "a")


def test_a_digest_depends_on_the_realm():
    assert KeyedDigests(MasterSecrets([NEW]), "other").digest("p", "a") != DIGESTS.digest("p", "a")


def test_a_digest_depends_on_the_secret():
    assert BEFORE.digest("p", "a") != DIGESTS.digest("p", "a")


def test_raw_digests_come_newest_first():
    assert BOTH.raw_digests("p", "a") == DIGESTS.raw_digests("p", "a") + BEFORE.raw_digests("p", "a")


def test_recognises_its_digest():
    assert DIGESTS.matches(DIGESTS.digest("p", "a", "b"), "p", "a", "b")


def test_recognises_a_digest_under_an_older_secret():
    assert BOTH.matches(BEFORE.digest("p", "a"), "p", "a")


def test_does_not_recognise_a_digest_under_a_dropped_secret():
    assert not DIGESTS.matches(BEFORE.digest("p", "a"), "p", "a")


@pytest.mark.parametrize("presented", ["", "a", "\ud800", "ö" * 43, "A" * 43])
def test_does_not_recognise_other_texts(presented):
    assert not DIGESTS.matches(presented, "p", "a")


NETWORKS = KeyedNetworkDigests(BOTH)


@pytest.mark.parametrize("other", ["2001:db8::8", "2001:DB8:0:0::1"])
def test_two_addresses_of_one_network_have_the_same_network_digests(other):
    assert NETWORKS("2001:db8::7") == NETWORKS(other)


def test_two_networks_have_different_network_digests():
    assert not set(NETWORKS("203.0.113.7")) & set(NETWORKS("203.0.113.8"))


def test_an_unknown_address_has_no_network_digest():
    assert NETWORKS(None) == ()


def test_a_network_is_recognised_under_an_older_secret():
    assert KeyedNetworkDigests(BEFORE)("203.0.113.7")[0] in NETWORKS("203.0.113.7")
