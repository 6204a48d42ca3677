"""The caller of a request: its address and its correlation id, for logs and events."""

import ipaddress
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from litestar import Request

from grantledger.adapters.asgi_types import Scope
from grantledger.adapters.http.parameters import header_values
from grantledger.application.provenance import Caller

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CALLER = "grantledger.caller"
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}")
_CORRELATION_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class CallerReader:
    """Reads the caller of a request. Forwarded headers count only if a trusted proxy sent them."""

    def __init__(self, trusted_proxies: Sequence[Network]) -> None:
        self._trusted = tuple(trusted_proxies)

    def __call__(self, request: Request[Any, Any, Any]) -> Caller:
        """Return the caller. All calls within one request return the same caller."""
        return self.read(request.scope)

    def read(self, scope: Scope) -> Caller:
        """Return the caller of an ASGI request, and keep it in the scope."""
        known = scope.get(_CALLER)
        if isinstance(known, Caller):
            return known
        client = scope["client"][0] if scope.get("client") else None
        peer, written = _peer(client or "")
        proxied = peer is not None and self._is_trusted(peer)
        given = next(iter(header_values(scope, b"x-request-id")), "") if proxied else ""
        traces = [_TRACEPARENT.fullmatch(value) for value in header_values(scope, b"traceparent")[:1]]
        caller = Caller(
            correlation_id=given if _CORRELATION_ID.fullmatch(given) else os.urandom(8).hex(),
            trace_id=traces[0][1] if traces and traces[0] else None,
            address=str(self._forwarded_for(scope, peer)) if peer and proxied else written or client,
        )
        scope[_CALLER] = caller
        return caller

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _forwarded_for(self, scope: Scope, peer: Address) -> Address:
        """Return the last address in X-Forwarded-For that is not a trusted proxy.

        Return the peer if the header has no such address or an unreadable one.
        """
        hops = [hop.strip() for value in header_values(scope, b"x-forwarded-for") for hop in value.split(",")]
        for hop in reversed([hop for hop in hops if hop]):
            address = _forwarded_address(hop)
            if address is None or not self._is_trusted(address):
                return address or peer
        return peer


def _forwarded_address(hop: str) -> Address | None:
    """Read `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:4711`."""
    found = _BRACKETED.fullmatch(hop) or _WITH_PORT.fullmatch(hop)
    return _address(found[1] if found else hop)


def _address(text: str) -> Address | None:
    """Return the address in one form: IPv4-mapped IPv6 becomes IPv4, and a zone is dropped."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


@lru_cache(1024)
def _peer(client: str) -> tuple[Address | None, str | None]:
    """Return the address of a peer, and how it is written. Peers repeat, so this is cached.

    Header values are not cached, because they can be long.
    """
    address = _address(client)
    return address, None if address is None else str(address)
