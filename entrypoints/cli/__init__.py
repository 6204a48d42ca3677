"""The command line: `grantledger`. This file needs only the standard library."""

import gc
import sys
from importlib.util import find_spec


def collect_rarely() -> None:
    """Collect garbage after 20,000 new objects instead of 700.

    Imports make many objects but hardly any garbage, so a command starts 5 % sooner with this.
    """
    gc.set_threshold(20_000)


def main() -> None:
    """Run a command. If the extra with the commands is missing, print what to install and exit with 1.

    Only the doctor needs no extra.
    """
    if find_spec("rich_click") is None:
        if sys.argv[1:2] == ["doctor"]:
            from grantledger.entrypoints.cli.doctor_alone import main as doctor

            doctor(sys.argv[2:])
        extra = "demo" if sys.argv[1:2] == ["demo"] else "server"
        sys.exit(f"grantledger: commands need the authorization server: pip install 'grantledger[{extra}]'")
    collect_rarely()
    from grantledger.entrypoints.cli.commands import run

    run()
