import pytest

from grantledger.domain.network import network_of, site_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses_of_one_owner_are_one_network(one: str, other: str):
    assert network_of(one) == network_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:3::1"), ("192.0.2.1", "192.0.2.2"), ("unknown", "192.0.2.1")],
)
def test_addresses_of_different_owners_are_different_networks(one: str, other: str):
    assert network_of(one) != network_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:ffff::9"), ("::ffff:192.0.2.1", "192.0.2.1")],
)
def test_addresses_of_one_site_may_be_of_several_networks(one: str, other: str):
    assert site_of(one) == site_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("2001:db8:1:2::1", "2001:db8:2:2::1"), ("192.0.2.1", "192.0.2.2")]
)
def test_addresses_of_different_sites_are_different(one: str, other: str):
    assert site_of(one) != site_of(other)
