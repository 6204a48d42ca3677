"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

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


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given: only these win over the settings."""
    return {name: value for name, value in options.items() if value is not None}
