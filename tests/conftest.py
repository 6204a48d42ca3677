"""For all tests: their folder, their tiers, the search for secrets, no deadline of hypothesis."""

import logging
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["support.leaks"]

# A ledger syncs each commit, and a disk that is busy for 20 s would fail tests that have no fault: temporary
# files are in memory, if there is room. What reaches the disk is tested with a disk that fails on request.
MEMORY = Path("/dev/shm")
ROOM = 6 << 30
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# The client of the tests logs each URL, and some tests put a token into one. The SDK switches this on for the
# whole process when it makes a server.
logging.getLogger("httpx2").setLevel(logging.WARNING)

# A shell lets what it starts in the background ignore Ctrl-C, and programs of the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

FULL = {"browser", "faults", "races"}
"""The folders whose tests all take long. Elsewhere a test or its file is marked `full`."""

# A busy machine is slow, and some runs draw many examples that are too large or that `assume` rejects. That
# says nothing of the code: pytest's timeout holds for each test. And where `CI` is set hypothesis would look
# at the same examples each time.
settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    derandomize=False,
)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).parts[0] in FULL:
            item.add_marker(pytest.mark.full)
