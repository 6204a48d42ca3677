"""The file of the master secrets, one on each line and the newest first, as the command line changes it."""

import os
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from grantledger.adapters.crypto.master_secret import MIN_BYTES, MasterSecrets, parsed_secret


def added(path: Path) -> str:
    """Make a secret, put it last, where it opens and does not seal yet, and return its key id."""
    new = secrets.token_urlsafe(MIN_BYTES)
    _rewrite(path, lambda texts: [*texts, new])
    return _key_id(new)


def put_first(path: Path, key_id: str) -> None:
    """Let the secret with that id be the one that seals."""
    _rewrite(path, lambda texts: sorted(texts, key=lambda text: _key_id(text) != key_id))


def removed(path: Path, key_id: str) -> None:
    """Forget the secret with that id."""
    _rewrite(path, lambda texts: [text for text in texts if _key_id(text) != key_id])


def _key_id(text: str) -> str:
    return MasterSecrets([parsed_secret(text)]).newest


def _rewrite(path: Path, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
    """Put a whole new file in the place of the old one, with its mode and owner. Raises OSError."""
    path = path.resolve()  # a link stays one
    texts = change(path.read_text(encoding="ascii").split())
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
