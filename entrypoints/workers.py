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

FIRST_PAUSE = 1.0
"""Seconds before the replacement of a worker that served less than `STEADY`. They double each time."""

LONGEST_PAUSE = 30.0
"""Maximum seconds of that pause."""

STEADY = 60.0
"""Seconds. A worker that has served this long is replaced at once.

If no worker serves for this time, the server ends.
"""

START_FAILED = 3
"""The exit code of uvicorn for a server that cannot start."""

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

_LOOK = 0.2
"""Seconds between two looks at the workers while nothing happens."""


class Parent(Struct, frozen=True):
    """What a worker knows of its parent: two pipes."""

    ended: int
    """Becomes readable when the parent has ended, even if it was killed."""

    ready: int
    """Takes a byte once the worker serves."""

    def tell_ready(self) -> None:
        with suppress(OSError):
            os.write(self.ready, b"1")


class _Worker(Struct):
    pid: int
    ready: int
    pause: float
    """Seconds of the pause before its start."""
    serves_since: float | None = None

    @property
    def serves(self) -> bool:
        return self.serves_since is not None


class _Restart(Struct, frozen=True):
    at: float
    pause: float


class Workers:
    """Runs `serve` in `count` processes, and replaces each that ends, until a signal stops all.

    Workers that end early are replaced after pauses that grow. If none has served for a minute, the parent
    ends too: otherwise a server that cannot serve would look as if it was running.

    The processes are forked, so the parent must have no other thread and no open connection.
    """

    def __init__(
        self, count: int, serve: Callable[[Parent], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._serve = serve
        self._clock = clock
        self._workers: list[_Worker] = []
        self._alive, self._life = os.pipe()  # never written: it is closed when the parent ends
        self._restarts: list[_Restart] = []
        self._have_served = False
        self._last_served = clock()

    def run(self) -> int:
        """Return the exit code: that of a worker which could not start, or 0 after SIGINT.

        SIGTERM is raised again when all workers have ended, as uvicorn does in one process. Raises `OSError`
        if the system refuses one of the first workers.
        """
        with _signals() as signals:
            for _ in range(self._count):
                self._start(pause=0.0)
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

    def _start(self, pause: float) -> None:
        ready, writing = os.pipe()
        # Until the child has reset its handlers, a signal to it would be written to the parent's pipe.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            pid = os.fork()
            if pid == 0:
                os.close(self._life)
                self._become_worker(Parent(self._alive, writing), blocked)
        except OSError:
            os.close(ready)
            raise
        finally:
            os.close(writing)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self._workers.append(_Worker(pid, ready, pause))

    def _become_worker(self, parent: Parent, blocked: set[int]) -> None:
        """Serve, and end this process. It never returns to the code of the parent."""
        code = 1
        try:
            for number in _HANDLED:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
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
            if worker.ready in readable and not worker.serves and os.read(worker.ready, 1) == b"1":
                worker.serves_since = self._clock()
        if signals not in readable:
            return 0
        got = os.read(signals, 64)
        return next((number for number in got if number in (signal.SIGTERM, signal.SIGINT)), 0)

    def _look_after_workers(self) -> int | None:
        """Replace the workers that have ended. Return an exit code if the server must end.

        That is if one of the first workers cannot start, or if none has served for `STEADY`.
        """
        self._have_served = self._have_served or all(worker.serves for worker in self._workers)
        now = self._clock()
        for worker, status in self._ended():
            code = os.waitstatus_to_exitcode(status)
            if not worker.serves and not self._have_served:
                return code if code > 0 else START_FAILED
            was_steady = worker.serves_since is not None and now - worker.serves_since >= STEADY
            pause = 0.0 if was_steady else _longer(worker.pause)
            logs.write_line(
                "error", "a worker has ended, another one starts", pid=worker.pid, exit_code=code, pause=pause
            )
            self._restarts.append(_Restart(now + pause, pause))
        if any(worker.serves for worker in self._workers):
            self._last_served = now
        elif self._have_served and now - self._last_served >= STEADY:
            logs.write_line("error", f"no worker has served for {STEADY:.0f} s, the server ends")
            return START_FAILED
        self._restart_due(now)
        return None

    def _restart_due(self, now: float) -> None:
        due = [restart for restart in self._restarts if restart.at <= now]
        self._restarts = [restart for restart in self._restarts if restart.at > now]
        for restart in due:
            try:
                self._start(restart.pause)
            except OSError as error:  # no process or file descriptor is left: the other workers go on
                pause = _longer(restart.pause)
                logs.write_line("error", "a worker cannot be started", error=error.strerror, pause=pause)
                self._restarts.append(_Restart(now + pause, pause))

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
        """Stop all workers. Kill those that still run when the time is over or another signal arrives."""
        deadline = self._clock() + STOP_TIMEOUT
        self._send(signal.SIGTERM)
        while self._workers:
            for _ in self._ended():
                pass
            if self._stop_signal(signals) or self._clock() > deadline:
                self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers:
            os.kill(worker.pid, number)


def _longer(pause: float) -> float:
    return min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)


@contextmanager
def _signals() -> Iterator[int]:
    """Yield a pipe from which the number of each SIGTERM, SIGINT and SIGCHLD can be read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = [signal.signal(number, lambda *_: None) for number in _HANDLED]
    wakeup = signal.set_wakeup_fd(writing)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in zip(_HANDLED, before, strict=True):
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
