"""Where the master secrets come from: a setting, a file it names, or the file next to the database."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.secret_keepers import SecretFile, SecretSetting
from grantledger.application.keys.master_secrets import SecretKeeper
from grantledger.domain.secret_text import MIN_BYTES, MasterSecretInvalid, parsed_secrets
from grantledger.entrypoints.exposed_files import check_closed
from grantledger.entrypoints.settings import IN_MEMORY, Settings, SettingsInvalid


def obtain_master_secrets(settings: Settings) -> MasterSecrets:
    """Return the configured secrets. On loopback, the default is a file next to the database.

    The first start makes that file. A database in memory gets a secret of its own, which is not kept.
    Raises `SettingsInvalid`.
    """
    configured = configured_master_secrets(settings)
    if configured is not None:
        return configured
    if settings.database == IN_MEMORY:
        return MasterSecrets([secrets.token_bytes(MIN_BYTES)])
    path = master_secret_path(settings)
    assert path is not None
    try:
        SecretFile(path).create()
    except OSError as error:
        raise SettingsInvalid(
            "database", f"needs a master secret next to it, {path}: {error.strerror}"
        ) from None
    return _in_file(path)


def configured_master_secrets(settings: Settings) -> MasterSecrets | None:
    """Return the existing secrets, or None if the first start will make one. Raises `SettingsInvalid`."""
    if settings.master_secret:
        return _parsed(settings.master_secret, "master_secret")
    path = master_secret_path(settings)
    if path is None or (settings.master_secret_file is None and not path.exists()):
        return None
    return _in_file(path)


def master_secret_path(settings: Settings) -> Path | None:
    """Return the path of the secrets' file, which may not exist yet; None if they are not in a file."""
    if settings.master_secret_file is not None:
        return Path(settings.master_secret_file)
    if settings.master_secret or settings.database == IN_MEMORY:
        return None
    assert settings.is_loopback, "elsewhere Settings requires a secret"
    return Path(f"{settings.database}.secret")


def secret_keeper(settings: Settings, configured: MasterSecrets) -> SecretKeeper:
    """Return what changes the secrets: in their file, or by asking the operator to change the setting."""
    path = master_secret_path(settings)
    return SecretSetting(configured.key_ids) if path is None else SecretFile(path)


def _in_file(path: Path) -> MasterSecrets:
    key = "master_secret_file"
    try:
        with path.open(encoding="ascii") as file:
            check_closed(key, path, os.fstat(file.fileno()))  # with the secret, any program can make tokens
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
