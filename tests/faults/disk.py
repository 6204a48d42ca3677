"""The disk of a server as `disk.c` sees it: its journal, its faults, and what a power cut leaves of it."""

import os
import shutil
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from msgspec import Struct

_HEAD = struct.Struct("=BBHIQ")
_SECTOR = 512


def built_shim(directory: Path) -> Path:
    """Compile `disk.c`. The test is skipped where that cannot be; in CI a missing compiler fails it."""
    if sys.platform != "linux":
        pytest.skip("only on Linux can a test intercept a server's calls to the disk")
    compiler = shutil.which("cc")
    if compiler is None:
        reason = "no C compiler on this machine: install `gcc` to run the tests that watch a server's disk"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    shim = directory / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    return shim


class Operation(Struct, frozen=True):
    """A record of the journal; `kind` as in `disk.c`."""

    kind: str
    error: int
    path: str
    offset: int
    data: bytes


class Files:
    """The synced content of the files, and what was written to them since the last sync."""

    def __init__(self) -> None:
        self.synced: dict[str, bytearray] = {}
        self._unsynced: dict[str, list[Operation]] = defaultdict(list)
        self._covered: dict[str, list[int]] = defaultdict(list)

    def apply(self, operation: Operation) -> None:
        """Take in the next record of the journal."""
        path, unsynced = operation.path, self._unsynced[operation.path]
        match operation.kind:
            case "w" | "t" if not operation.error:
                unsynced.append(operation)
            case "b":
                self._covered[path].append(len(unsynced))
            case "s":
                # Of two syncs at once each covers what was written before the first of them began.
                covered = self._covered[path].pop(0)
                if not operation.error:
                    for done in unsynced[:covered]:
                        _write(self._file(path), done)
                    self._unsynced[path] = unsynced[covered:]
                    self._covered[path] = [max(0, others - covered) for others in self._covered[path]]
            case "u":
                self.synced.pop(path, None)
                unsynced.clear()

    def is_synced(self, suffix: str) -> bool:
        """Whether all that was written to the files with this suffix is synced."""
        return not any(unsynced for path, unsynced in self._unsynced.items() if path.endswith(suffix))

    def lose_power(self, dice: Random) -> None:
        """Keep what was synced and some sectors of the rest: a disk may write those in any order."""
        kept = dice.choice([0, 0.5, 0.9])
        for path, unsynced in self._unsynced.items():
            for operation in unsynced:
                for part in _sectors(operation):
                    if dice.random() < kept:
                        _write(self._file(path), part)
        self._unsynced.clear()
        self._covered.clear()

    def _file(self, path: str) -> bytearray:
        return self.synced.setdefault(path, bytearray())


def _write(file: bytearray, operation: Operation) -> None:
    end = operation.offset + len(operation.data)
    file.extend(bytes(max(0, end - len(file))))
    if operation.kind == "t":
        del file[operation.offset :]
    else:
        file[operation.offset : end] = operation.data


def _sectors(operation: Operation) -> Iterator[Operation]:
    if operation.kind == "t":
        yield operation
    at, end = operation.offset, operation.offset + len(operation.data)
    while at < end:
        until = min(end, (at // _SECTOR + 1) * _SECTOR)
        data = operation.data[at - operation.offset : until - operation.offset]
        yield Operation("w", 0, operation.path, at, data)
        at = until


class Disk:
    """Records the calls of servers to the disk of one database, and lets some fail.

    `environment` is for the processes of the servers.
    """

    def __init__(self, shim: Path, database: Path, directory: Path) -> None:
        self._database = database
        self._journal = directory / "journal"
        self._fault = directory / "fault"
        self._before = Files()
        self.environment = {
            "LD_PRELOAD": str(shim),
            "DISK_OF": str(database),
            "DISK_JOURNAL": str(self._journal),
            "DISK_FAULT": str(self._fault),
        }

    @contextmanager
    def failing(self, what: str) -> Iterator[None]:
        """Let calls fail: "write ENOSPC", "write EROFS", "sync EIO", "sync stall"."""
        draft = self._fault.with_suffix(".draft")
        draft.write_text(what)
        draft.rename(self._fault)
        try:
            yield
        finally:
            self._fault.unlink()

    def operations(self) -> Iterator[Operation]:
        """Yield the records of the journal, except one that a kill cut short."""
        journal = self._journal.read_bytes() if self._journal.exists() else b""
        at = 0
        while at + _HEAD.size <= len(journal):
            kind, error, path_length, data_length, offset = _HEAD.unpack_from(journal, at)
            at += _HEAD.size
            path = journal[at : at + path_length]
            data = journal[at + path_length : at + path_length + data_length]
            at += path_length + data_length
            if at <= len(journal):
                yield Operation(chr(kind), error, os.fsdecode(path), offset, data)

    def remember(self) -> None:
        """Treat the present content of the files as synced. No process may have them open."""
        self._before = Files()
        for path in self._files():
            self._before.synced[str(path)] = bytearray(path.read_bytes())

    def cut_power(self, dice: Random) -> None:
        """Reduce the files to what a power cut would have left. No server may be running."""
        files = self._before
        for operation in self.operations():
            if not operation.path.endswith("-shm"):  # SQLite never syncs it, and makes it again
                files.apply(operation)
        files.lose_power(dice)
        for path in (*self._files(), Path(f"{self._database}-shm"), self._journal):
            path.unlink(missing_ok=True)
        for name, content in files.synced.items():
            Path(name).write_bytes(content)
            Path(name).chmod(0o600)

    def _files(self) -> list[Path]:
        return [path for path in (self._database, Path(f"{self._database}-wal")) if path.exists()]
