"""Rounds: a number of operations against one target, with what they cost the server."""

import gc
import time
from collections.abc import Iterator, Sequence

from msgspec import Struct

from bench.processes import Machine, cpu_seconds
from bench.summaries import percentile
from bench.work import Work

WARM_UP = 200
MOST = 20_000
"""Operations of one round, at most."""


class Round(Struct, frozen=True):
    """One round. Times are in milliseconds; `cpu` and `generator` are CPU time for one operation.

    `others` is the share of the machine that neither the server nor the load generator used.
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


async def run_round(work: Work, operation: str, connections: int, count: int) -> Round:
    """Run `count` operations. Raises an `ExceptionGroup` where one fails."""
    await work.before(operation, count)
    latencies: list[float] = []
    pid, step = work.target.pid, work.operation(operation)
    gc.collect()
    machine, server = Machine.now(), cpu_seconds(pid)
    own, begun = time.process_time(), time.perf_counter()
    await work.pool.run(count, connections, step, latencies)
    wall, own = time.perf_counter() - begun, time.process_time() - own
    server, now = cpu_seconds(pid) - server, Machine.now()
    passed = now.total - machine.total
    others = max(0.0, now.busy - machine.busy - server - own) / passed if passed else 0.0
    return Round(
        target=work.target.name,
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


async def count_for(work: Work, operation: str, connections: int, seconds: float) -> int:
    """Return how many operations take about `seconds`, after a warm-up."""
    warm = await run_round(work, operation, connections, max(WARM_UP, 2 * connections))
    return max(2 * connections, min(MOST, round(warm.per_second * seconds)))


def in_turn(works: Sequence[Work], rounds: int) -> Iterator[Work]:
    """Yield each of them in each round; every second round backwards, so that a drift cancels out."""
    for number in range(rounds):
        yield from works if number % 2 == 0 else reversed(works)
