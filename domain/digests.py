"""SHA-256 digests in base64url, and the encoding that composed keys are hashed from."""

import hashlib

from grantledger.domain import base64url


def sha256(data: bytes) -> str:
    """Return the base64url of the SHA-256."""
    return base64url.encode(hashlib.sha256(data).digest())


def digest(secret: str) -> str:
    """Return the base64url SHA-256 of a secret, the only form in which it is stored.

    It needs no salt or key: our secrets are long and random, so they cannot be guessed.
    """
    return sha256(secret.encode())


def length_prefixed(*parts: str) -> bytes:
    """Return the parts in UTF-8, each prefixed with its length in 4 bytes, so that no two lists collide."""
    encoded = [part.encode() for part in parts]
    return b"".join([len(part).to_bytes(4, "big") + part for part in encoded])
