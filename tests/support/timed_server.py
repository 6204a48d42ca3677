"""A real server in its own process, over TCP, whose clock the test sets."""

import asyncio
import itertools
import os
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.server import server_open
from support.oauth import Person
from support.server import PASSWORD, PUBLIC, Program, Server, serving
from support.set_clock import SetClock
from support.wire import Wire
from support.witness import contradictions

T = TypeVar("T")

CALLER = Caller(correlation_id="operator")
BEGINNING = 1_800_000_000

_TESTS = str(Path(__file__).parents[1])


class Account(Struct, frozen=True):
    """A user; the password is `PASSWORD`."""

    user_id: str
    email: str


class TimedServer:
    """One server for many examples, each with its own users and clients.

    `operator` calls use cases in the test's process, on the same ledger and clock, as commands do. `run` runs
    a coroutine, always in the same event loop. An example may set the clock back; `begin` sets it to a time
    after all earlier examples.
    """

    def __init__(self, server: Server, clock: SetClock, runner: asyncio.Runner, operator: Container) -> None:
        self.server = server
        self.clock = clock
        self.operator = operator
        self._runner = runner
        self._latest = clock.now()
        self.wire = Wire(server.origin, server.base)
        self._emails = (f"user-{number}@example.com" for number in itertools.count())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def begin(self) -> int:
        """Set the clock to a time after all earlier examples, and return it."""
        self._latest += 1
        self.clock.set(self._latest)
        return self._latest

    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self._latest = max(self._latest, self.clock.now())

    def contradictions(self) -> list[str]:
        return contradictions(self.server.ledger, now=self._latest)

    def visitor(self) -> Person:
        """Return a browser without cookies. Close its `http` at the end."""
        return Person.at(self.server.origin, base=self.server.base)

    async def open_account(self) -> Account:
        email = next(self._emails)
        return Account(await self.operator.use_cases().open_account(email, PASSWORD, CALLER), email)


@contextmanager
def timed_server(directory: Path, **settings: str) -> Iterator[TimedServer]:
    """Run a `TimedServer`; `settings` as for `serving`."""
    path = directory / "clock"
    clock = SetClock.at(path, BEGINNING)
    packages = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), _TESTS)))
    program = Program(("-m", "support.timed_serve", str(path)), {"PYTHONPATH": packages})
    with (
        serving(directory, program, port=None, **PUBLIC | settings) as server,
        asyncio.Runner() as runner,
    ):
        operator = server.wiring()
        operator.clock.override(clock)
        operator.ledger.add_kwargs(now=lambda: clock.now() * 1_000_000)
        stack = AsyncExitStack()
        runner.run(stack.enter_async_context(server_open(operator)))
        running = TimedServer(server, clock, runner, operator)
        try:
            yield running
        finally:
            running.wire.close()
            runner.run(stack.aclose())


class TimedServers:
    """One server for each combination of settings, started on first use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[tuple[tuple[str, str], ...], TimedServer] = {}
        self._stack = ExitStack()

    def __call__(self, **settings: str) -> TimedServer:
        key = tuple(sorted(settings.items()))
        if key not in self._running:
            directory = self._directory / f"server-{len(self._running)}"
            directory.mkdir()
            self._running[key] = self._stack.enter_context(timed_server(directory, **settings))
        return self._running[key]

    def contradictions(self) -> list[str]:
        """Return the rows that differ from a replay, and the gaps in the logs."""
        return [found for running in self._running.values() for found in running.contradictions()]

    def close(self) -> None:
        self._stack.close()
