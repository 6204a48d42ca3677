"""When workers start again. They are no processes here, and time passes only while their parent waits."""

import os
import select
import signal

import pytest
from msgspec import Struct

from grantledger.entrypoints.workers import START_FAILED, Workers

FOREVER = float("inf")


class Life(Struct, frozen=True):
    """How a worker behaves."""

    lasts: float = FOREVER
    """Seconds until it crashes."""

    serves: bool = True


class FakeSystem:
    """Stands for the calls by which the parent starts workers, waits, and ends them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.lives: list[Life] = []
        """Of the workers in the order of their starts. Those that start later serve forever."""
        self.refuses: tuple[str, float, float] = ("", 0, 0)
        """A call that fails, and from when to when."""
        self.interrupted_at = FOREVER
        self.started: list[float] = []
        self.pipes: list[tuple[int, int]] = []
        self._ends_at: dict[int, float] = {}
        self._crashes: list[float] = []
        self._pipe, self._select = os.pipe, select.select
        for name in ("pipe", "fork", "waitpid", "kill"):
            monkeypatch.setattr(os, name, getattr(self, name))
        monkeypatch.setattr(select, "select", self.select)

    @property
    def pauses(self) -> list[int]:
        """The seconds between each crash of the only worker and the start of the next."""
        return [round(start - end) for end, start in zip(self._crashes, self.started[1:], strict=False)]

    def run(self, count: int = 1) -> int:
        return Workers(count, lambda _: 0, lambda: self.now).run()

    def pipe(self) -> tuple[int, int]:
        self._fail_if_refused("pipe")
        self.pipes.append(self._pipe())
        return self.pipes[-1]

    def fork(self) -> int:
        self._fail_if_refused("fork")
        number = len(self.started)
        life = self.lives[number] if number < len(self.lives) else Life()
        if life.serves:
            os.write(self.pipes[-1][1], b"1")
        pid = 2**22 + 1 + number  # beyond the highest of Linux
        self.started.append(self.now)
        self._ends_at[pid] = self.now + life.lasts
        return pid

    def waitpid(self, pid: int, _options: int) -> tuple[int, int]:
        if self._ends_at[pid] > self.now:
            return 0, 0
        self._crashes.append(self.now)
        return pid, signal.SIGSEGV

    def kill(self, pid: int, _number: int) -> None:
        self._ends_at[pid] = self.now

    def select(
        self, reading: list[int], writing: list[int], other: list[int], timeout: float
    ) -> tuple[list[int], list[int], list[int]]:
        self.now += timeout
        if self.now >= self.interrupted_at:
            signal.raise_signal(signal.SIGINT)
        return self._select(reading, writing, other, 0)

    def _fail_if_refused(self, call: str) -> None:
        refused, begin, end = self.refuses
        if call == refused and begin <= self.now < end:
            raise BlockingIOError(11, "Resource temporarily unavailable")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    return FakeSystem(monkeypatch)


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_a_restart_that_the_system_refuses_is_tried_again(system: FakeSystem, call: str):
    system.lives = [Life(lasts=5), Life()]
    system.refuses, system.interrupted_at = (call, 3, 7), 30
    assert system.run(2) == 0
    assert [round(start) for start in system.started] == [0, 0, 8]


def test_a_restart_that_the_system_refuses_leaves_no_pipe_open(system: FakeSystem):
    system.lives = [Life(lasts=5)]
    system.refuses, system.interrupted_at = ("fork", 3, 7), 30
    system.run()
    *_, refused, _ = system.pipes
    for end in refused:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(end)


def test_the_server_does_not_start_if_the_system_refuses_a_first_worker(system: FakeSystem):
    system.refuses = ("fork", 0, 1)
    with pytest.raises(BlockingIOError):
        system.run()


def test_the_pause_before_a_worker_starts_again_doubles_up_to_30_s(system: FakeSystem):
    system.lives = [Life(lasts=10)] * 7
    system.interrupted_at = 240
    assert system.run() == 0
    assert system.pauses == [1, 2, 4, 8, 16, 30, 30]


def test_a_worker_that_has_served_for_60_s_starts_again_at_once(system: FakeSystem):
    system.lives = [Life(lasts=10), Life(lasts=10), Life(lasts=70), Life(lasts=10)]
    system.interrupted_at = 150
    system.run()
    assert system.pauses == [1, 2, 0, 1]


def test_the_server_ends_when_no_worker_has_served_for_60_s(system: FakeSystem):
    system.lives = [Life(lasts=10), *[Life(lasts=1, serves=False)] * 20]
    system.interrupted_at = 600
    assert system.run() == START_FAILED
    assert round(system.now) == 70


def test_one_worker_that_serves_keeps_the_server_running(system: FakeSystem):
    system.lives = [Life(), Life(lasts=10), *[Life(lasts=1, serves=False)] * 20]
    system.interrupted_at = 600
    assert system.run(2) == 0
