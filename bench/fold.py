"""CPU seconds of decoding, replaying and rebuilding a ledger.

Run by the Python of the checkout that wrote it. The commands run in this process. Their first run, which
imports everything, does not count.
"""

import contextlib
import json
import os
import runpy
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from grantledger.adapters.ledger.events import EventCodec

REPEATS = 3


def decode(path: str) -> int:
    """Read and decode all events, the minimum that a replay must do. Return how many there are."""
    codec = EventCodec()
    count = 0
    with closing(sqlite3.connect(path)) as connection:
        for tag, data in connection.execute("SELECT tag, data FROM events ORDER BY stream_id, version"):
            codec.decode(tag, data)
            count += 1
    return count


def command(name: str) -> None:
    """Run `grantledger ledger NAME`. Raises `SystemExit` with its exit code where it fails."""
    sys.argv = ["grantledger", "ledger", name, "--json"]
    try:
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            runpy.run_module("grantledger", run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise


def least(run: Callable[[], object]) -> float:
    run()
    spent = []
    for _ in range(REPEATS):
        begun = time.process_time()
        run()
        spent.append(time.process_time() - begun)
    return round(min(spent), 4)


def main(path: str) -> None:
    found = {
        "events": decode(path),
        "decode": least(lambda: decode(path)),
        "replay": least(lambda: command("replay")),
        "rebuild": least(lambda: command("rebuild")),
    }
    print(json.dumps(found))


main(sys.argv[1])
