"""The threads of a server share two heaps, which bounds its memory."""

import ctypes
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from grantledger.entrypoints.heaps import share_heaps

THREADS = 8


def heaps_of_threads(report: Path) -> int:
    """Let threads allocate at the same time, and return how many heaps the C library has made."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = libc.malloc.restype = ctypes.c_void_p
    together = threading.Barrier(THREADS)

    def allocate() -> None:
        libc.malloc(1_000)
        together.wait()

    threads = [threading.Thread(target=allocate) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file = ctypes.c_void_p(libc.fopen(str(report).encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    return report.read_text().count("<heap nr=")


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone has a heap for each thread"
)
def test_all_threads_of_a_server_share_two_heaps(tmp_path: Path):
    report = tmp_path / "report.xml"
    run = subprocess.run([sys.executable, __file__, report], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) <= 2


if __name__ == "__main__":
    share_heaps()
    sys.stdout.write(str(heaps_of_threads(Path(sys.argv[1]))))
