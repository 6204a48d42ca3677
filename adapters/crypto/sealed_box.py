"""What a browser keeps for us and may neither read nor change."""

from grantledger.adapters.crypto import aead, base64url
from grantledger.adapters.crypto.master_secret import MasterSecrets

_PURPOSE = "sealed box"
_KEY_ID_BYTES = 4


class SealedBox:
    """Seals bytes into URL-safe text: base64url of the key id (4 bytes) and what `aead.seal` returns.

    56 bytes become 119 characters: 33 bytes more, then 4 characters for 3 bytes.
    """

    def __init__(self, secrets: MasterSecrets, realm: str) -> None:
        self._secrets = secrets
        self._realm = realm

    def seal(self, plaintext: bytes, context: str) -> str:
        """Return a box that opens in the same context only; every box is another, whatever is in it."""
        key_id = self._secrets.newest
        sealed = aead.seal(self._secrets.key(_PURPOSE, key_id), plaintext, self._realm, context)
        return base64url.encode(bytes.fromhex(key_id) + sealed)

    def open(self, text: str, context: str) -> bytes | None:
        """Return what is in the box, None when it is not one of ours, or not for this context."""
        raw = base64url.decode(text) or b""
        key_id = raw[:_KEY_ID_BYTES].hex()
        if key_id not in self._secrets:
            return None
        return aead.unseal(self._secrets.key(_PURPOSE, key_id), raw[_KEY_ID_BYTES:], self._realm, context)
