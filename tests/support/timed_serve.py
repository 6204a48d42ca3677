"""`grantledger serve`, but for its clock: `python -m support.timed_serve CLOCK`."""

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
    container.clock.override(SetClock(Path(sys.argv[1])))
    run(create_app(container), settings)
