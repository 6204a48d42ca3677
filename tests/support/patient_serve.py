"""`grantledger serve` that waits for its ledger as long as a test does.

It is for tests in which no request may fail, even if a busy machine slows the ledger down.
"""

import os
from pathlib import Path

from grantledger.adapters.ledger import postgresql
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.server import create_app, run
from grantledger.entrypoints.settings_sources import load_settings
from support.server import Program
from support.timeouts import TIMEOUT

_TESTS = str(Path(__file__).parents[1])

PATIENT = Program(
    ("-m", "support.patient_serve"),
    {"PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), _TESTS)))},
)

if __name__ == "__main__":
    SqliteDatabase.busy_timeout = TIMEOUT * 1_000
    for seconds in ("READ_TIMEOUT", "POOL_TIMEOUT", "_COMMAND_TIMEOUT"):
        setattr(postgresql, seconds, float(TIMEOUT))
    postgresql._LOCAL = dict.fromkeys(postgresql._LOCAL, TIMEOUT * 1_000)  # noqa: SLF001
    settings = load_settings(None, os.environ, {})
    container = Container(settings)
    container.ledger.add_kwargs(timeout=float(TIMEOUT))
    run(create_app(container), settings)
