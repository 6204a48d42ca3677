"""The master secrets, and the keys that are derived from them, one for each purpose."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from grantledger.application.ports import MasterSecretMissing
from grantledger.domain.secret_text import MasterSecretInvalid

_KEY_BYTES = 32
_KEY_ID_BYTES = 4


class MasterSecrets:
    """The master secrets of a server, newest first: the first one seals, all of them open.

    What is sealed carries the id of its secret, 4 bytes derived from it, written as 8 hex digits. To rotate,
    every replica is given the new secret as the last one, then it is moved to the front, and the old one is
    dropped when nothing sealed under it is alive any more: docs/adr/0027 says why in this order.
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
        """The id of the secret under which new things are sealed."""
        return next(iter(self._secrets))

    def led_by(self, key_id: str) -> "MasterSecrets":
        """Return the same secrets with that one as the newest. Raises `MasterSecretMissing`."""
        if key_id not in self._secrets:
            raise MasterSecretMissing(key_id)
        return MasterSecrets(
            [self._secrets[one] for one in sorted(self._secrets, key=lambda one: one != key_id)]
        )

    def key(self, purpose: str, key_id: str) -> bytes:
        """Return the 32-byte key for that purpose under that secret, the same each time.

        Raises `MasterSecretMissing` when this process was not given the secret.
        """
        key = self._keys.get((purpose, key_id))
        if key is None:
            if key_id not in self._secrets:
                raise MasterSecretMissing(key_id)
            key = self._keys[purpose, key_id] = _derived(self._secrets[key_id], purpose, _KEY_BYTES)
        return key


def _derived(secret: bytes, purpose: str, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869): keys of two purposes tell nothing of each other, nor of the secret."""
    info = f"grantledger {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
