"""Where settings come from: `grantledger.toml`, `GRANTLEDGER_*` variables, and the command line."""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_origin

import msgspec
from msgspec import Struct

from grantledger.entrypoints.exposed_files import check_closed
from grantledger.entrypoints.settings import (
    Settings,
    SettingsInvalid,
    check_setting,
    converted,
    holds_password,
    types_of_settings,
    wrong_type,
)

PREFIX = "GRANTLEDGER_"
CONFIG = "GRANTLEDGER_CONFIG"

_DEFAULT_FILE = Path("grantledger.toml")


class Given(Struct, frozen=True):
    """A given value and its source. With `as_text`, from a variable or an option, numbers may be text."""

    value: Any
    source: str
    as_text: bool


def load_settings(config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings:
    """Read `grantledger.toml`, `GRANTLEDGER_*` variables and `overrides`; later ones override earlier ones.

    The file is `config`, or the one that `GRANTLEDGER_CONFIG` names, or `grantledger.toml` in the working
    directory if it exists. Raises `SettingsInvalid`.
    """
    given = given_settings(config, environ, overrides)
    values, faults = _read(given)
    if faults:
        raise faults[0]
    return _made(values, given)


def settings_faults(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]
) -> list[SettingsInvalid]:
    """Return the faults of single settings or, without any, the first contradiction between settings."""
    try:
        given = given_settings(config, environ, overrides)
        values, faults = _read(given)
        if not faults:
            _made(values, given)
    except SettingsInvalid as invalid:
        return [invalid]
    return faults


def given_settings(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]
) -> dict[str, Given]:
    """Return the given values by key. The command line overrides variables, and these override the file.

    An override of None counts as not given. Raises `SettingsInvalid` for a file that cannot be read.
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


def with_source(invalid: SettingsInvalid, given: Mapping[str, Given]) -> SettingsInvalid:
    """Return the same fault with the source of the setting in its message."""
    source = given[invalid.key].source if invalid.key in given else None
    return SettingsInvalid(invalid.key, invalid.sentence, source)


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
        with path.open(encoding="utf-8") as file:
            written = tomllib.loads(file.read())
            if "master_secret" in written or holds_password(str(written.get("database"))):
                check_closed(key, path, os.fstat(file.fileno()))
    except OSError as error:
        raise SettingsInvalid(key, f"names a file that cannot be read: {path}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsInvalid(key, f"names a file that is not TOML: {path}: {error}") from None
    return {key: Given(value, str(path), as_text=False) for key, value in written.items()}


def _read(given: Mapping[str, Given]) -> tuple[dict[str, Any], list[SettingsInvalid]]:
    """Return the converted values, and the faults of single settings."""
    values: dict[str, Any] = {}
    faults: list[SettingsInvalid] = []
    for key, one in given.items():
        try:
            values[key] = _converted(key, one)
            check_setting(key, values[key])
        except SettingsInvalid as invalid:
            faults.append(with_source(invalid, given))
    return values, faults


def _made(values: Mapping[str, Any], given: Mapping[str, Given]) -> Settings:
    try:
        return Settings(**values)
    except SettingsInvalid as invalid:
        raise with_source(invalid, given) from None


def _converted(key: str, given: Given) -> Any:
    kinds = types_of_settings()
    if key not in kinds:
        near = difflib.get_close_matches(key, kinds, n=1)
        raise SettingsInvalid(key, "is not a setting" + (f", did you mean {near[0]}?" if near else ""))
    kind = kinds[key]
    try:
        value = _READ.get(get_origin(kind), _as_it_is)(given.value)
    except msgspec.DecodeError as error:
        raise wrong_type(key, error) from None
    return converted(key, value, strict=not given.as_text)


def _listed(value: Any) -> Any:
    """Split a list that is given as one text, and the scopes of each table in it."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return [text for text in re.split(r"[\s,]+", value) if text]
        value = msgspec.json.decode(value)
    if isinstance(value, list):
        return [_with_lists(item, "scopes") for item in value]
    return value


def _by_name(value: Any) -> Any:
    """Read tables that are given as one text, and split the lists of each table."""
    tables = msgspec.json.decode(value) if isinstance(value, str) else value
    if not isinstance(tables, dict):
        return tables
    return {name: _with_lists(table, "scopes", "permissions") for name, table in tables.items()}


def _with_lists(table: Any, *keys: str) -> Any:
    if not isinstance(table, dict):
        return table
    return table | {key: _listed(table[key]) for key in keys if key in table}


def _as_it_is(value: Any) -> Any:
    return value


_READ: dict[Any, Callable[[Any], Any]] = {tuple: _listed, dict: _by_name}
"""How a value is read, by the type of its setting."""
