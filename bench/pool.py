"""Keep-alive connections to one server, and the loop that keeps them busy."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bench.connection import Connection

T = TypeVar("T")


class Pool:
    def __init__(self, port: int) -> None:
        self._port = port
        self._connections: list[Connection] = []

    async def run(
        self,
        count: int,
        connections: int,
        step: Callable[[Connection, int], Awaitable[T]],
        latencies: list[float] | None = None,
    ) -> list[T]:
        """Run `step` `count` times over `connections` connections, one at a time on each.

        Appends the seconds that each step took to `latencies`. The first failure ends the run.
        """
        numbers = itertools.count()
        results: list[T] = []

        async def keep_busy(connection: Connection) -> None:
            while (number := next(numbers)) < count:
                begun = time.perf_counter()
                result = await step(connection, number)
                if latencies is not None:
                    latencies.append(time.perf_counter() - begun)
                results.append(result)

        while len(self._connections) < connections:
            self._connections.append(Connection(self._port))
        async with asyncio.TaskGroup() as group:
            for connection in self._connections[: min(connections, count)]:
                group.create_task(keep_busy(connection))
        return results

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
