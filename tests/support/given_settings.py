"""Settings as they are given to a program: as options, in variables, in a file."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from grantledger.entrypoints.settings import Settings, SettingsInvalid
from grantledger.entrypoints.settings_sources import load_settings

SECRET = base64.b64encode(bytes(range(32))).decode()
PUBLIC = {"host": "0.0.0.0", "issuer": "https://auth.example.com", "master_secret": SECRET}


def given(**overrides: object) -> Settings:
    return load_settings(None, {}, overrides)


def in_environment(**variables: str) -> Settings:
    return load_settings(None, {f"GRANTLEDGER_{key.upper()}": text for key, text in variables.items()}, {})


def in_file(text: str) -> Settings:
    path = Path("settings.toml")
    path.write_text(text, encoding="utf-8")
    return load_settings(path, {}, {})


def sentence(read: Callable[..., object], *args: object, **kwargs: object) -> str:
    """Return the message with which these settings are refused."""
    with pytest.raises(SettingsInvalid) as refused:
        read(*args, **kwargs)
    return str(refused.value)
