"""Authenticated encryption: AES-256-GCM with random nonces (NIST SP 800-38D)."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grantledger.adapters.crypto.length_prefixed import length_prefixed

_FORMAT = b"\x01"
# Section 8.2.2: 96 random bits. Section 8.3 allows 2**32 of them under one key, then the secret must rotate.
_NONCE_BYTES = 12
_SHORTEST = len(_FORMAT) + _NONCE_BYTES + 16


def seal(key: bytes, plaintext: bytes, *context: str) -> bytes:
    """Return format (1 byte), nonce (12), ciphertext and tag (16), which open in the same context only."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, plaintext, length_prefixed(*context))


def unseal(key: bytes, sealed: bytes, *context: str) -> bytes | None:
    """Return the plaintext, None for what was not sealed with this key in this context."""
    if len(sealed) < _SHORTEST or not sealed.startswith(_FORMAT):
        return None
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, length_prefixed(*context))
    except InvalidTag:
        return None
