"""The network of an address, by which throttles count callers."""

import ipaddress


def network_of(address: str) -> str:
    """Return the IPv4 address itself, or the /64 of an IPv6 address: one customer usually has all of it."""
    return _network_of(address, prefix=64)


def site_of(address: str) -> str:
    """Return the IPv4 address itself, or the /48 of an IPv6 address: one site may have all of it."""
    return _network_of(address, prefix=48)


def _network_of(address: str, *, prefix: int) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), prefix), strict=False))
