import pytest

from grantledger.domain.network import network_of


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
