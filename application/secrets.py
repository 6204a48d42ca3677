"""Secrets that we drew ourselves are long and random: a plain digest keeps them."""

import base64
import hashlib


def digest(secret: str) -> str:
    """Return the base64url SHA-256 of a secret, which is all of it that is ever stored."""
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=").decode()
