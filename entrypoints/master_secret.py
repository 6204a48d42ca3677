"""Where the master secrets come from."""

import contextlib
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.secret_keepers import SecretFile, SecretSetting
from grantledger.application.keys.master_secrets import SecretKeeper
from grantledger.domain.secret_text import MIN_BYTES, MasterSecretInvalid, parsed_secrets
from grantledger.entrypoints.settings import IN_MEMORY, Settings, SettingsInvalid


def obtain_master_secrets(settings: Settings) -> MasterSecrets:
    """Return the configured secrets; on loopback without any, those of a file beside the database.

    The first start makes that file. A database in memory gets a secret that is forgotten with it.
    Raises `SettingsInvalid`.
    """
    secrets_there = configured_master_secrets(settings)
    if secrets_there is not None:
        return secrets_there
    if settings.database == IN_MEMORY:
        return MasterSecrets([secrets.token_bytes(MIN_BYTES)])
    path = master_secret_path(settings)
    assert path is not None
    _make(path)
    return _in_file(path)


def configured_master_secrets(settings: Settings) -> MasterSecrets | None:
    """Return the secrets that are there, None where the first start is still to make one.

    Raises `SettingsInvalid`.
    """
    if settings.master_secret:
        return _parsed(settings.master_secret, "master_secret")
    path = master_secret_path(settings)
    if path is None or (settings.master_secret_file is None and not path.exists()):
        return None
    return _in_file(path)


def master_secret_path(settings: Settings) -> Path | None:
    """Return the file of the secrets, be it there or not; None where they have none of their own."""
    if settings.master_secret_file is not None:
        return Path(settings.master_secret_file)
    if settings.master_secret or settings.database == IN_MEMORY:
        return None
    assert settings.is_loopback, "elsewhere Settings insists on a secret"
    return Path(f"{settings.database}.secret")


def secret_keeper(settings: Settings, secrets_there: MasterSecrets) -> SecretKeeper:
    """Return what changes the secrets: their file, or nobody but the operator's own hand."""
    path = master_secret_path(settings)
    return SecretSetting(secrets_there.key_ids) if path is None else SecretFile(path)


def _in_file(path: Path) -> MasterSecrets:
    key = "master_secret_file"
    try:
        with path.open(encoding="ascii") as file:
            # Other users of the machine could sign tokens of their own. The group may be the server's.
            if os.fstat(file.fileno()).st_mode & stat.S_IRWXO:
                raise SettingsInvalid(key, f"must be closed to other users: run `chmod o= {path}`")
            lines = file.read().split()
    except OSError as error:
        raise SettingsInvalid(key, f"cannot be read: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsInvalid(key, f"cannot be used: {path} is not text") from None
    return _parsed(lines, key, source=str(path))


def _parsed(texts: Sequence[str], key: str, source: str | None = None) -> MasterSecrets:
    try:
        return MasterSecrets(parsed_secrets(texts))
    except MasterSecretInvalid as error:
        raise SettingsInvalid(key, f"cannot be used: {error}", source) from None


def _make(path: Path) -> None:
    """Write a new secret unless there is one; of several processes at once, all end with the same."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        if path.exists():
            return
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(MIN_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            # Linked when it is whole, so that nobody reads half a secret, and never over another one.
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _make_durable(path.parent)
    except OSError as error:
        raise SettingsInvalid("database", f"needs a secret beside it, {path}: {error.strerror}") from None


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
