"""A clock that a test sets, also for other processes."""

import mmap
import struct
from pathlib import Path

_TIME = struct.Struct("<q")


class SetClock:
    """The time is the 8 bytes of a file; all processes that open it share the clock."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._time = mmap.mmap(file.fileno(), _TIME.size)

    @classmethod
    def at(cls, path: Path, now: int) -> "SetClock":
        """Make the file."""
        path.write_bytes(_TIME.pack(now))
        return cls(path)

    def now(self) -> int:
        return int(_TIME.unpack_from(self._time)[0])

    def set(self, now: int) -> None:
        _TIME.pack_into(self._time, 0, now)

    def advance(self, seconds: int) -> None:
        self.set(self.now() + seconds)
