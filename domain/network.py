"""The network of an address, by which throttles count callers."""

import ipaddress


def network_of(address: str) -> str:
    """Return the IPv4 address itself, or the /64 of an IPv6 address: one customer usually has all of it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
