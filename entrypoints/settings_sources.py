"""Where settings are written: in `grantledger.toml`, in `GRANTLEDGER_*` variables, on the command line."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct

PREFIX = "GRANTLEDGER_"
CONFIG = "GRANTLEDGER_CONFIG"

_DEFAULT_FILE = Path("grantledger.toml")
_KINDS = {str: "a text", int: "a whole number", bool: "true or false", tuple[str, ...]: "a list of texts"}


class SettingsInvalid(Exception):  # noqa: N818 - named for the fact, like a refusal
    """A setting stops the start. The message is one sentence that names it, and holds no secret."""

    def __init__(self, key: str, sentence: str, source: str | None = None) -> None:
        super().__init__(f"{key} {sentence}" + (f" (from {source})" if source else ""))
        self.key = key
        self.sentence = sentence


class Given(Struct, frozen=True):
    """A value as it is written, and where. Variables and the command line may write it as text."""

    value: Any
    source: str
    as_text: bool

    def read(self, key: str, hint: Any) -> Any:
        """Return the value in the type of the setting. Raises `SettingsInvalid`."""
        kind = get_args(hint)[0] if isinstance(hint, UnionType) else hint
        try:
            value = _listed(self.value) if get_origin(kind) is tuple else self.value
            return msgspec.convert(value, kind, strict=not self.as_text)
        except msgspec.DecodeError as error:
            wanted = _KINDS.get(kind, "a list of tables")
            raise SettingsInvalid(key, f"must be {wanted}: {error}", self.source) from None


def given_settings(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]
) -> dict[str, Given]:
    """Return what is written, by key: the command line wins over variables, and those over the file.

    An override of None is none.
    """
    variables = {
        name.removeprefix(PREFIX).lower(): Given(text, name, as_text=True)
        for name, text in environ.items()
        if name.startswith(PREFIX) and name != CONFIG
    }
    options = {
        key: Given(str(value) if isinstance(value, Path) else value, "the command line", as_text=True)
        for key, value in overrides.items()
        if value is not None
    }
    return _in_file(config, environ) | variables | options


def _in_file(config: Path | None, environ: Mapping[str, str]) -> dict[str, Given]:
    named = environ.get(CONFIG)
    if config is not None:
        key, path = "config", config
    elif named is not None:
        key, path = CONFIG, Path(named)
    elif _DEFAULT_FILE.exists():
        key, path = "config", _DEFAULT_FILE
    else:
        return {}
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(key, f"names a file that cannot be read: {path}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsInvalid(key, f"names a file that is not TOML: {path}: {error}") from None
    return {key: Given(value, str(path), as_text=False) for key, value in written.items()}


def _listed(value: Any) -> Any:
    """Take a list apart that is written as one text, and the scopes of each table of a list."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return [text for text in re.split(r"[\s,]+", value) if text]
        value = msgspec.json.decode(value)
    if isinstance(value, list):
        return [_with_scopes_listed(item) for item in value]
    return value


def _with_scopes_listed(item: Any) -> Any:
    return item | {"scopes": _listed(item["scopes"])} if isinstance(item, dict) and "scopes" in item else item
