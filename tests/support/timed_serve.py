"""`grantledger serve` with a clock that the test sets through the file CLOCK.

Run as `python -m support.timed_serve CLOCK`.
"""

import os
import sys
from pathlib import Path

from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.server import create_app, run
from grantledger.entrypoints.settings_sources import load_settings
from support.set_clock import SetClock

if __name__ == "__main__":
    settings = load_settings(None, os.environ, {})
    container = Container(settings)
    clock = SetClock(Path(sys.argv[1]))
    container.clock.override(clock)
    container.ledger.add_kwargs(now=lambda: clock.now() * 1_000_000)
    run(create_app(container), settings)
