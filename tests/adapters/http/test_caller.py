"""The caller of a request: addresses in one form, and forwarded headers of trusted proxies only."""

from ipaddress import ip_network
from typing import Any

import pytest

from grantledger.adapters.http.caller import CallerReader

PROXY = "10.0.0.1"
read = CallerReader([ip_network("10.0.0.0/8"), ip_network("fd00::/8")]).read


def scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"type": "http", "client": None if peer is None else (peer, 4711), "headers": headers}


SPELLINGS = {
    "203.0.113.7": "203.0.113.7",
    "203.0.113.7:4711": "203.0.113.7",
    "::ffff:203.0.113.7": "203.0.113.7",
    "::FFFF:cb00:7107": "203.0.113.7",
    "[::ffff:203.0.113.7]": "203.0.113.7",
    "[::ffff:203.0.113.7]:4711": "203.0.113.7",
    "2001:db8::7": "2001:db8::7",
    "2001:DB8:0:0::7": "2001:db8::7",
    "[2001:db8::7]": "2001:db8::7",
    "[2001:db8::7]:4711": "2001:db8::7",
}


@pytest.mark.parametrize(("spelling", "address"), SPELLINGS.items(), ids=SPELLINGS)
def test_every_spelling_of_an_address_is_the_same_address(spelling: str, address: str):
    assert read(scope(PROXY, spelling)).address == address


GARBAGE = [
    *(
        "unknown",
        "_hidden",
        "203.0.113.7:",
        "203.0.113.7:port",
        "203.0.113.7:123456",
        "203.0.113",
        "256.1.1.1",
    ),
    *("[2001:db8::7", "2001:db8::7]", "[203.0.113.7", "[]", "[]:1", "[2001:db8::7]4711", "[2001:db8::7]:"),
    *("for=203.0.113.7", "203.0.113.7 203.0.113.8", "\u00b2\u00b3.1.1.1", "x" * 1000),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=ascii)
def test_the_proxy_is_the_caller_if_the_header_has_an_invalid_address(garbage: str):
    assert read(scope(PROXY, garbage)).address == PROXY
    assert read(scope(PROXY, f"203.0.113.9, {garbage}")).address == PROXY


@pytest.mark.parametrize(
    "chain", ["203.0.113.7:1, 10.0.0.2:80", "203.0.113.7, [fd00::2]:80, ::ffff:10.0.0.3"]
)
def test_trusted_proxies_are_skipped_in_every_spelling(chain: str):
    assert read(scope(PROXY, chain)).address == "203.0.113.7"


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", PROXY, "fd00::1%eth0"])
def test_a_proxy_is_trusted_in_every_spelling_of_its_address(peer: str):
    assert read(scope(peer, "203.0.113.7")).address == "203.0.113.7"


def test_only_the_last_untrusted_address_counts():
    assert read(scope(PROXY, "198.51.100.1, 203.0.113.7")).address == "203.0.113.7"
    assert read(scope(PROXY, "198.51.100.1", "203.0.113.7")).address == "203.0.113.7"


def test_without_a_proxy_the_header_does_not_count():
    assert read(scope("198.51.100.1", "203.0.113.7")).address == "198.51.100.1"
    assert read(scope("::ffff:198.51.100.1", "203.0.113.7")).address == "198.51.100.1"


@pytest.mark.parametrize("forwarded", ["", " , ", "10.0.0.2", "10.0.0.2:80, fd00::1"])
def test_the_proxy_is_the_caller_if_the_header_names_no_other(forwarded: str):
    assert read(scope(PROXY, forwarded)).address == PROXY


@pytest.mark.parametrize("peer", [None, "", "testclient"])
def test_a_peer_without_an_ip_address_is_never_trusted(peer: str | None):
    assert read(scope(peer, "203.0.113.7")).address == peer
