"""Files with secrets that other users of the machine can read."""

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from grantledger.entrypoints.settings import Settings, SettingsInvalid

_log = logging.getLogger("grantledger.settings")


def check_closed(key: str, path: Path, found: os.stat_result) -> None:
    """Refuse a file that other users can read. If another user owns the file, only log a warning.

    The server's user can close its own file. A file of another user, such as a mounted secret, only causes a
    warning, because it can be closed only where it comes from. The group of a file may read it, because that
    may be the group of the server. Raises `SettingsInvalid`.
    """
    if not found.st_mode & stat.S_IRWXO or not stat.S_ISREG(found.st_mode):
        return
    if found.st_uid == os.geteuid():
        raise SettingsInvalid(key, f"must be closed to other users: run `chmod o= {path}`")
    _log.warning(
        "%s: other users of this machine can read %s, which another user owns: close it there", key, path
    )


def check_database_closed(settings: Settings) -> None:
    """Check the file of the database, if there is one. Raises `SettingsInvalid`."""
    if settings.in_postgresql:
        return
    path = Path(settings.database)
    with suppress(OSError):  # opening it reports what is wrong
        check_closed("database", path, path.stat())
