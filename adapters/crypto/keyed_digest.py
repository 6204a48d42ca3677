"""Digests under a secret key. They serve to find or recognise a value, which cannot be guessed from them."""

import hmac
from functools import lru_cache

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.domain import base64url
from grantledger.domain.digests import length_prefixed
from grantledger.domain.network import network_of

_NETWORK_BYTES = 8
"""Short, because each grant stores it. It is only compared with other digests of the same grant."""


class KeyedDigests:
    """HMAC-SHA256, 32 bytes, with a separate key for each purpose."""

    def __init__(self, secrets: MasterSecrets, realm: str) -> None:
        self._secrets = secrets
        self._realm = realm

    def digest(self, purpose: str, *parts: str) -> str:
        """Return the digest of the parts under the newest master secret as base64url, 43 characters."""
        return base64url.encode(self.raw_digests(purpose, *parts)[0])

    def short(self, purpose: str, value: str) -> bytes:
        """Return half a digest under the newest master secret: 16 bytes, enough to distinguish values."""
        return self.raw_digests(purpose, value)[0][:16]

    def matches(self, presented: str, purpose: str, *parts: str) -> bool:
        """Whether `presented` is the `digest` of the parts under any master secret, in constant time."""
        shown = base64url.decode(presented) or b""
        return any(hmac.compare_digest(shown, ours) for ours in self.raw_digests(purpose, *parts))

    def raw_digests(self, purpose: str, *parts: str) -> list[bytes]:
        """Return the digest of the parts under each master secret, newest first."""
        message = length_prefixed(self._realm, *parts)
        keys = (self._secrets.key(f"digest of {purpose}", key_id) for key_id in self._secrets.key_ids)
        return [hmac.digest(key, message, "sha256") for key in keys]


class KeyedNetworkDigests:
    """`NetworkDigests`: 11 characters each."""

    def __init__(self, digests: KeyedDigests) -> None:
        self._digests = digests
        # Clients refresh again and again from one address, and parsing it takes longer than its digest.
        self._of = lru_cache(4_096)(self._computed)

    def __call__(self, address: str | None) -> tuple[str, ...]:
        return () if address is None else self._of(address)

    def _computed(self, address: str) -> tuple[str, ...]:
        found = self._digests.raw_digests("caller network", network_of(address))
        return tuple(base64url.encode(digest[:_NETWORK_BYTES]) for digest in found)
