"""Digests of stored secrets, and the encoding that composed keys are hashed from."""

import hashlib

from grantledger.domain import base64url


def digest(secret: str) -> str:
    """Return the base64url SHA-256 of a secret, the only form in which it is stored.

    It needs no salt or key: our secrets are long and random, so they cannot be guessed.
    """
    return base64url.encode(hashlib.sha256(secret.encode()).digest())


def length_prefixed(*parts: str) -> bytes:
    """Return the parts in UTF-8, each prefixed with its length in 4 bytes, so that no two lists collide."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
