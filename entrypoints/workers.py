"""Several processes that serve the same sockets, and the parent that keeps them running (ADR 0083)."""

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from grantledger.adapters import logs

STOP_TIMEOUT = 25.0
"""Seconds for a worker to finish its requests and its writes. Then it is killed."""

PAUSE = 1.0
"""Seconds before a worker starts again that has ended before it served."""

START_FAILED = 3
"""The exit code that uvicorn has for it."""

_LOOK = 0.2
"""Seconds between two looks at the workers while nothing happens."""


class Parent(Struct, frozen=True):
    """What a worker knows of its parent: two pipes."""

    ended: int
    """Becomes readable when the parent has ended, however it did."""

    ready: int
    """Takes a byte once the worker serves."""

    def tell_ready(self) -> None:
        with suppress(OSError):
            os.write(self.ready, b"1")


class _Worker(Struct):
    pid: int
    ready: int
    serves: bool = False


class Workers:
    """Runs `serve` in `count` processes, and again for each that ends, until a signal stops all.

    The processes are forked, so this one must have no thread and no open connection.
    """

    def __init__(self, count: int, serve: Callable[[Parent], int]) -> None:
        self._count = count
        self._serve = serve
        self._workers: list[_Worker] = []
        self._alive, self._life = os.pipe()  # nothing is ever written: its end is the end of the parent
        self._restarts: list[float] = []
        self._have_served = False

    def run(self) -> int:
        """Return the exit code: that of a worker which could not start, or 0 after SIGINT.

        SIGTERM is raised again when all workers have ended, as uvicorn does in one process.
        """
        with _signals() as signals:
            for _ in range(self._count):
                self._start()
            while not (stopped_by := self._stop_signal(signals)):
                failure = self._look_after_workers()
                if failure is not None:
                    self._stop(signals)
                    return failure
            self._stop(signals)
        if stopped_by == signal.SIGTERM:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        return 0

    def _start(self) -> None:
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(self._life)
            self._become_worker(Parent(self._alive, told))
        os.close(told)
        self._workers.append(_Worker(pid, ready))

    def _become_worker(self, parent: Parent) -> None:
        """Serve, and end this process. Nothing of the parent's code runs after it."""
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.set_wakeup_fd(-1)
            code = self._serve(parent)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:  # noqa: BLE001 - the process ends here
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _stop_signal(self, signals: int) -> int:
        """Wait a moment, and return the signal that asks to stop, or 0."""
        waiting = [worker.ready for worker in self._workers if not worker.serves]
        readable, _, _ = select.select([signals, *waiting], [], [], _LOOK)
        for worker in self._workers:
            if worker.ready in readable and not worker.serves:
                worker.serves = os.read(worker.ready, 1) == b"1"
        if signals not in readable:
            return 0
        got = os.read(signals, 64)
        return next((number for number in got if number in (signal.SIGTERM, signal.SIGINT)), 0)

    def _look_after_workers(self) -> int | None:
        """Start those again that have ended. Return an exit code if the first ones cannot start."""
        self._have_served = self._have_served or all(worker.serves for worker in self._workers)
        now = time.monotonic()
        for worker, status in self._ended():
            code = os.waitstatus_to_exitcode(status)
            if not worker.serves and not self._have_served:
                return code if code > 0 else START_FAILED
            logs.write_line("error", "a worker has ended, another one starts", pid=worker.pid, exit_code=code)
            self._restarts.append(now if worker.serves else now + PAUSE)
        due = [at for at in self._restarts if at <= now]
        self._restarts = [at for at in self._restarts if at > now]
        for _ in due:
            self._start()
        return None

    def _ended(self) -> Iterator[tuple[_Worker, int]]:
        for worker in [*self._workers]:
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._forget(worker)
                yield worker, status

    def _forget(self, worker: _Worker) -> None:
        os.close(worker.ready)
        self._workers.remove(worker)

    def _stop(self, signals: int) -> None:
        """End all workers: those that do not end in time, or at another signal, are killed."""
        deadline = time.monotonic() + STOP_TIMEOUT
        self._send(signal.SIGTERM)
        while self._workers:
            for _ in self._ended():
                pass
            if self._stop_signal(signals) or time.monotonic() > deadline:
                self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers:
            os.kill(worker.pid, number)


@contextmanager
def _signals() -> Iterator[int]:
    """Yield a pipe with the numbers of SIGTERM, SIGINT and SIGCHLD as they come."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = [signal.signal(number, lambda *_: None) for number in handled]
    wakeup = signal.set_wakeup_fd(writing)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
