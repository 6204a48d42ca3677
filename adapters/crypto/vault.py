"""How private records are sealed: nobody reads them, or moves one to another subject, without the secret."""

from grantledger.adapters.crypto import aead
from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.master_secret import MasterSecrets
from grantledger.application.ports import Unavailable

_PURPOSE = "vault"


class Vault:
    """Seals values for one realm, subject and name, and finds them again by keyed digest."""

    def __init__(self, secrets: MasterSecrets, realm: str) -> None:
        self._secrets = secrets
        self._realm = realm
        self._digests = KeyedDigests(secrets, realm)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return self._secrets.key_ids

    def under(self, key_id: str) -> "Vault":
        """Return one that seals under that secret, and opens what this one opens."""
        return Vault(self._secrets.led_by(key_id), self._realm)

    def seal(self, subject: str, name: str, value: str) -> tuple[str, bytes]:
        """Return the id of the newest master secret, and the value sealed under it."""
        key_id = self._secrets.newest
        key = self._secrets.key(_PURPOSE, key_id)
        return key_id, aead.seal(key, value.encode(), self._realm, subject, name)

    def open(self, key_id: str, subject: str, name: str, sealed: bytes) -> str:
        """Return the value.

        Raises `Unavailable` when its master secret is not configured, or it was sealed for something else:
        nobody is told that a password is wrong because a record is damaged.
        """
        value = aead.unseal(self._secrets.key(_PURPOSE, key_id), sealed, self._realm, subject, name)
        if value is None:
            raise Unavailable(f"the {name!r} of {subject!r} is not what was sealed")
        return value.decode()

    def lookups(self, name: str, value: str) -> list[bytes]:
        """Return the digests under which the record of that name and value may be found, newest first."""
        return self._digests.raw_digests("vault lookup", name, value)
