"""Digests under which secrets are stored and composed keys are named."""

import hashlib

from grantledger.domain import base64url


def digest(secret: str) -> str:
    """Return the base64url SHA-256 of a secret: the only form in which it is stored.

    No salt and no key: our secrets are random and long, so they cannot be guessed.
    """
    return base64url.encode(hashlib.sha256(secret.encode()).digest())


def length_prefixed(*parts: str) -> bytes:
    """Return the UTF-8 of the parts, each after its length in 4 bytes, so that no two lists collide."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
