"""Where a request comes from, for the envelope of what it causes."""

import ipaddress
import re
import secrets
from collections.abc import Sequence
from typing import Any

from litestar import Request

from grantledger.adapters.web.asgi_types import Scope
from grantledger.application.provenance import Caller

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CALLER = "grantledger.caller"
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_CORRELATION_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class CallerReader:
    """Forwarded headers count only from configured proxies: anybody else could write there what they like."""

    def __init__(self, trusted_proxies: Sequence[Network]) -> None:
        self._trusted = tuple(trusted_proxies)

    def __call__(self, request: Request[Any, Any, Any]) -> Caller:
        """Return the caller, the same for every call within one request."""
        return self.read(request.scope)

    def read(self, scope: Scope) -> Caller:
        """Return the caller of an ASGI request, which is kept in its scope."""
        known = scope.get(_CALLER)
        if isinstance(known, Caller):
            return known
        peer = scope["client"][0] if scope.get("client") else None
        proxied = self._is_trusted(peer)
        asked = next(iter(_values(scope, b"x-request-id")), "") if proxied else ""
        traces = [_TRACEPARENT.fullmatch(value) for value in _values(scope, b"traceparent")[:1]]
        caller = Caller(
            correlation_id=asked if _CORRELATION_ID.fullmatch(asked) else secrets.token_hex(8),
            trace_id=traces[0][1] if traces and traces[0] else None,
            address=self._forwarded_for(scope, peer) if proxied else peer,
        )
        scope[_CALLER] = caller
        return caller

    def _is_trusted(self, address: str | None) -> bool:
        try:
            parsed = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)

    def _forwarded_for(self, scope: Scope, peer: str | None) -> str | None:
        """Return the last address that no trusted proxy wrote for another trusted proxy."""
        hops = [hop.strip() for value in _values(scope, b"x-forwarded-for") for hop in value.split(",")]
        return next((hop for hop in reversed(hops) if hop and not self._is_trusted(hop)), peer)


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
