"""Read all events of a ledger and decode them, run by the Python of the checkout that wrote it.

Prints how many there are and the CPU seconds: what any replay must spend at least.
"""

import json
import sqlite3
import sys
import time
from contextlib import closing

import msgspec

from grantledger.domain.kinds import EVENTS


def main(path: str) -> None:
    decoders = {tag: msgspec.json.Decoder(event) for tag, event in EVENTS.items()}
    begun, count = time.process_time(), 0
    with closing(sqlite3.connect(path)) as connection:
        for tag, data in connection.execute("SELECT tag, data FROM events ORDER BY stream_id, version"):
            decoders[tag].decode(data)
            count += 1
    print(json.dumps([count, time.process_time() - begun]))


main(sys.argv[1])
