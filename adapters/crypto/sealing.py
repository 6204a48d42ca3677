"""Authenticated encryption: AES-256-GCM with random nonces (NIST SP 800-38D)."""

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.application.ports import Unavailable
from grantledger.domain import base64url
from grantledger.domain.digests import length_prefixed

_BOX_KEY = "sealed box"
_VAULT_KEY = "vault"
_FORMAT = b"\x01"
# Section 8.2.2: 96 random bits. Section 8.3 allows 2**32 of them under one key, then the secret must rotate.
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_ID_BYTES = 4
_SHORTEST = len(_FORMAT) + _NONCE_BYTES + _TAG_BYTES


_cipher = lru_cache(64)(AESGCM)
"""Making the cipher of a key takes 3 us, and using it less than one."""


def _encrypted(key: bytes, plaintext: bytes, *context: str) -> bytes:
    """Return format (1 byte), nonce (12), ciphertext and tag (16). Only the same context decrypts them."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + _cipher(key).encrypt(nonce, plaintext, length_prefixed(*context))


def _decrypted(key: bytes, sealed: bytes, *context: str) -> bytes | None:
    """Return the plaintext, None for bytes that were not encrypted with this key in this context."""
    if len(sealed) < _SHORTEST or not sealed.startswith(_FORMAT):
        return None
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return _cipher(key).decrypt(nonce, ciphertext, length_prefixed(*context))
    except InvalidTag:
        return None


class SealedBox:
    """Seals bytes into URL-safe text: base64url of the key id (4 bytes) and what `_encrypted` returns.

    56 bytes become 119 characters: sealing adds 33 bytes, and base64url writes 3 bytes as 4 characters.
    """

    def __init__(self, secrets: MasterSecrets, realm: str) -> None:
        self._secrets = secrets
        self._realm = realm

    def seal(self, plaintext: bytes, context: str) -> str:
        """Return a box that opens only in the same context. Two boxes with the same content differ."""
        key_id = self._secrets.newest
        sealed = _encrypted(self._secrets.key(_BOX_KEY, key_id), plaintext, self._realm, context)
        return base64url.encode(bytes.fromhex(key_id) + sealed)

    def open(self, text: str, context: str) -> bytes | None:
        """Return the content of the box, or None if it is not ours or from another context."""
        raw = base64url.decode(text) or b""
        key_id = raw[:_KEY_ID_BYTES].hex()
        if key_id not in self._secrets:
            return None
        return _decrypted(self._secrets.key(_BOX_KEY, key_id), raw[_KEY_ID_BYTES:], self._realm, context)


class Vault:
    """Seals private records, each for its realm, subject and name, and finds them by keyed digest."""

    def __init__(self, secrets: MasterSecrets, realm: str) -> None:
        self._secrets = secrets
        self._realm = realm
        self._digests = KeyedDigests(secrets, realm)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return self._secrets.key_ids

    def under(self, key_id: str) -> "Vault":
        """Return a vault that seals under that secret, and opens the same records as this vault."""
        return Vault(self._secrets.led_by(key_id), self._realm)

    def seal(self, subject: str, name: str, value: str) -> tuple[str, bytes]:
        """Return the id of the newest master secret, and the value sealed under it."""
        key_id = self._secrets.newest
        key = self._secrets.key(_VAULT_KEY, key_id)
        return key_id, _encrypted(key, value.encode(), self._realm, subject, name)

    def open(self, key_id: str, subject: str, name: str, sealed: bytes) -> str:
        """Return the value.

        Raises `Unavailable` if its master secret is not configured, and if the record is damaged or was
        sealed for another subject or name: a damaged password hash must not count as a wrong password.
        """
        value = _decrypted(self._secrets.key(_VAULT_KEY, key_id), sealed, self._realm, subject, name)
        if value is None:
            raise Unavailable(f"the {name!r} of {subject!r} cannot be unsealed: it is damaged")
        return value.decode()

    def lookups(self, name: str, value: str) -> list[bytes]:
        """Return the digests by which a record of that name and value is found, newest secret first."""
        return self._digests.raw_digests("vault lookup", name, value)
