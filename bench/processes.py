"""What processes use: CPU time and memory of a server with its children, and how busy the machine is."""

import os
import platform
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:  # ended meanwhile
        return
    for child in children:
        yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, of a process with its children, also of those that ended.

    The kernel's clock of a process counts what /proc/PID/stat shows, in nanoseconds instead of
    hundredths of a second, so that short rounds can be compared.
    """
    return sum(_own(each) + _ended_children(each) for each in tree(pid))


def _own(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0.0


def _ended_children(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[13]) + int(fields[14])) / _TICKS


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process with its children, in MB of a million bytes."""
    return sum(_resident(each) for each in tree(pid)) / 1e6


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


class Machine(NamedTuple):
    """Seconds that all processors together were busy, and the seconds that passed, summed over them."""

    busy: float
    total: float

    @classmethod
    def now(cls) -> "Machine":
        ticks = [int(field) for field in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
        total = sum(ticks)
        return cls((total - ticks[3] - ticks[4]) / _TICKS, total / _TICKS)


def machine_name() -> str:
    """Return the processor, its count and the memory, for the page."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = os.cpu_count()
    return f"{cores} processors ({model}), {memory:.0f} GiB, Linux {platform.release()}"
