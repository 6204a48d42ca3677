"""Where the master secrets stand, as the operator's commands change them."""

import os
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.application.keys.master_secrets import SecretsUnchangeable
from grantledger.domain.secret_text import MIN_BYTES, parsed_secrets

_BY_HAND = "the master secrets stand in the setting master_secret"


class SecretFile:
    """A file with one secret on each line, the newest first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def key_ids(self) -> Sequence[str]:
        return [_key_id(text) for text in self._texts()]

    async def add(self) -> str:
        new = secrets.token_urlsafe(MIN_BYTES)
        self._change(lambda texts: [*texts, new])
        return _key_id(new)

    async def put_first(self, key_id: str) -> None:
        self._change(lambda texts: sorted(texts, key=lambda text: _key_id(text) != key_id))

    async def remove(self, key_id: str) -> None:
        self._change(lambda texts: [text for text in texts if _key_id(text) != key_id])

    def _texts(self) -> list[str]:
        return self._path.read_text(encoding="ascii").split()

    def _change(self, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
        try:
            _rewrite(self._path.resolve(), change(self._texts()))  # a link stays one
        except OSError as error:
            raise SecretsUnchangeable(f"{self._path} cannot be changed ({error.strerror})") from None


class SecretSetting:
    """The secrets that stand in a setting, which only its owner changes."""

    def __init__(self, key_ids: Sequence[str]) -> None:
        self._key_ids = key_ids

    async def key_ids(self) -> Sequence[str]:
        return self._key_ids

    async def add(self) -> str:
        raise SecretsUnchangeable(_BY_HAND)

    async def put_first(self, _: str) -> None:
        raise SecretsUnchangeable(_BY_HAND)

    async def remove(self, _: str) -> None:
        raise SecretsUnchangeable(_BY_HAND)


def _key_id(text: str) -> str:
    return MasterSecrets(parsed_secrets([text])).newest


def _rewrite(path: Path, texts: Sequence[str]) -> None:
    """Put a whole new file in the place of the old one, with its mode and owner. Raises OSError."""
    before = path.stat()
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("".join(f"{text}\n" for text in texts))
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
