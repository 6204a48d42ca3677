"""Options that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from grantledger.entrypoints.settings import Settings
from grantledger.entrypoints.settings_sources import load_settings

F = TypeVar("F", bound=Callable[..., Any])


def database_options(command: F) -> F:
    """Add `--database` and `--config`."""
    database = click.option("--database", metavar="FILE", help="The SQLite file of the ledger.")
    config = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Settings to read instead of ./grantledger.toml.",
    )
    return database(config(command))


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def settings_of(database: str | None, config: Path | None) -> Settings:
    """Return the settings as the two options leave them. Raises `SettingsInvalid`."""
    return load_settings(config, os.environ, given(database=database))


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given: only these win over the settings."""
    return {name: value for name, value in options.items() if value is not None}
