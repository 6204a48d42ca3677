"""Rounds: a number of operations against one server, with what they cost it."""

import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from bench.connection import Connection
from bench.pool import Pool
from bench.processes import Machine
from bench.summaries import percentile
from bench.target import Target
from bench.work import Work

WARM_UP, WARM_CONNECTIONS = 200, 16
MOST = 20_000
"""Operations of one round, at most."""


class Round(Struct, frozen=True):
    """One round. Times are in milliseconds; `cpu` and `generator` are CPU time for one operation.

    `others` is the share of the machine that other programs used.
    """

    target: str
    operation: str
    connections: int
    count: int
    cpu: float
    generator: float
    per_second: float
    p50: float
    p99: float
    others: float


async def measured(
    target: Target,
    operation: str,
    pool: Pool,
    step: Callable[[Connection, int], Awaitable[object]],
    *,
    connections: int,
    count: int,
) -> Round:
    """Run `step` `count` times. Raises an `ExceptionGroup` if one of them fails."""
    latencies: list[float] = []
    gc.collect()
    machine, server = Machine.now(), target.cpu_seconds()
    own, begun = time.process_time(), time.perf_counter()
    await pool.run(count, connections, step, latencies)
    wall, own = time.perf_counter() - begun, time.process_time() - own
    server, now = target.cpu_seconds() - server, Machine.now()
    passed = now.total - machine.total
    others = max(0.0, now.busy - machine.busy - server - own) / passed if passed else 0.0
    return Round(
        target=target.name,
        operation=operation,
        connections=connections,
        count=count,
        cpu=round(server / count * 1e3, 4),
        generator=round(own / count * 1e3, 4),
        per_second=round(count / wall, 1),
        p50=round(percentile(latencies, 0.50) * 1e3, 3),
        p99=round(percentile(latencies, 0.99) * 1e3, 3),
        others=round(others, 3),
    )


async def warm_up(works: Sequence[Work], operation: str, seconds: float) -> dict[type[Target], int]:
    """Return how many operations each kind of server does in about `seconds`.

    All servers of one kind do as many as the first of them, so that their databases grow alike.
    """
    counts: dict[type[Target], int] = {}
    for work in works:
        warm = await _operations(work, operation, WARM_CONNECTIONS, WARM_UP)
        counts.setdefault(type(work.target), min(MOST, round(warm.per_second * seconds)))
    return counts


async def run_rounds(
    works: Sequence[Work], operation: str, connections: int, rounds: int, counts: Mapping[type[Target], int]
) -> list[Round]:
    """Run the rounds of one operation, one server after the other in each round."""
    least = 2 * connections
    return [
        await _operations(work, operation, connections, max(least, counts[type(work.target)]))
        for work in in_turn(works, rounds)
    ]


async def _operations(work: Work, operation: str, connections: int, count: int) -> Round:
    await work.before(operation, count)
    step = work.operation(operation)
    return await measured(work.target, operation, work.pool, step, connections=connections, count=count)


def in_turn(works: Sequence[Work], rounds: int) -> Iterator[Work]:
    """Yield each of them in each round; every second round backwards, so that a drift cancels out."""
    for number in range(rounds):
        yield from works if number % 2 == 0 else reversed(works)


def of(rounds: Sequence[Round], target: str, operation: str, connections: int) -> list[Round]:
    """Return the rounds of one server, in the order in which they were run."""
    wanted = (target, operation, connections)
    return [each for each in rounds if (each.target, each.operation, each.connections) == wanted]
