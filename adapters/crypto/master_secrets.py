"""The master secrets, and the keys derived from them, one for each purpose."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from grantledger.application.ports import MasterSecretMissing
from grantledger.domain.secret_text import MasterSecretInvalid

_KEY_BYTES = 32
_KEY_ID_BYTES = 4


class MasterSecrets:
    """The master secrets of a server, newest first. The first one seals, and all of them unseal.

    Sealed data carries the key id of its secret: 4 bytes derived from it, written as 8 hex digits. To rotate,
    give every replica the new secret as the last one, then move it to the front, and drop the old one when
    nothing sealed under it is valid any more. docs/adr/0027 gives the reasons for this order.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = {_derived(secret, "key id", _KEY_ID_BYTES).hex(): secret for secret in secrets}
        if len(self._secrets) < len(secrets):
            raise MasterSecretInvalid("two master secrets have the same key id")
        self._keys: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        return f"MasterSecrets({', '.join(self._secrets)})"

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._secrets

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Newest first."""
        return tuple(self._secrets)

    @property
    def newest(self) -> str:
        """The key id of the secret that seals."""
        return next(iter(self._secrets))

    def led_by(self, key_id: str) -> "MasterSecrets":
        """Return the same secrets with the secret of that key id first. Raises `MasterSecretMissing`."""
        if key_id not in self._secrets:
            raise MasterSecretMissing(key_id)
        return MasterSecrets(
            [self._secrets[one] for one in sorted(self._secrets, key=lambda one: one != key_id)]
        )

    def key(self, purpose: str, key_id: str) -> bytes:
        """Return the 32-byte key for that purpose under that secret. It is always the same.

        Raises `MasterSecretMissing` when the secret is not configured here.
        """
        key = self._keys.get((purpose, key_id))
        if key is None:
            if key_id not in self._secrets:
                raise MasterSecretMissing(key_id)
            key = self._keys[purpose, key_id] = _derived(self._secrets[key_id], purpose, _KEY_BYTES)
        return key


def _derived(secret: bytes, purpose: str, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869): one key reveals neither another one nor the secret."""
    info = f"grantledger {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
