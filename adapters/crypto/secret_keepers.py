"""The two ways to configure master secrets: in a file, which commands can change, or in a setting."""

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.application.keys.master_secrets import SecretsUnchangeable
from grantledger.domain.secret_text import MIN_BYTES, parsed_secrets

_BY_HAND = "the master secrets are in the setting master_secret"


class SecretFile:
    """A file with one secret on each line, the newest first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        """Create the file with a new secret, unless it exists. Parallel processes all get the same secret.

        Raises OSError.
        """
        if not self._path.exists():
            # Unlike a rename, a hard link never replaces the file of another process.
            _write_durably(self._path, [_new_secret()], publish=_link_unless_there)

    async def key_ids(self) -> Sequence[str]:
        return [_key_id(text) for text in self._texts()]

    async def add(self) -> str:
        new = _new_secret()
        self._change(lambda texts: [*texts, new])
        return _key_id(new)

    async def put_first(self, key_id: str) -> None:
        self._change(lambda texts: sorted(texts, key=lambda text: _key_id(text) != key_id))

    async def remove(self, key_id: str) -> None:
        self._change(lambda texts: [text for text in texts if _key_id(text) != key_id])

    def _texts(self) -> list[str]:
        return self._path.read_text(encoding="ascii").split()

    def _change(self, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
        path = self._path.resolve()  # replace the file that a symbolic link names, not the link
        try:
            with _locked(path.parent):
                _write_durably(path, change(self._texts()), publish=Path.replace, like=path.stat())
        except OSError as error:
            raise SecretsUnchangeable(f"{self._path} cannot be changed ({error.strerror})") from None


class SecretSetting:
    """Secrets in the setting `master_secret`, which only the operator changes."""

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


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let parallel commands change files of the folder one after the other."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _new_secret() -> str:
    return secrets.token_urlsafe(MIN_BYTES)


def _key_id(text: str) -> str:
    return MasterSecrets(parsed_secrets([text])).newest


def _write_durably(
    path: Path,
    texts: Sequence[str],
    *,
    publish: Callable[[Path, Path], object],
    like: os.stat_result | None = None,
) -> None:
    """Write the lines to a draft, then `publish(draft, path)`, so that no reader sees a partial file.

    The file gets the owner and mode of `like`; without `like`, only the user of this process can read it.
    Raises OSError.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("".join(f"{text}\n" for text in texts))
            if like is not None:
                _make_alike(file.fileno(), like)
            file.flush()
            os.fsync(file.fileno())
        publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_alike(descriptor: int, like: os.stat_result) -> None:
    if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def _link_unless_there(draft: Path, path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
