"""Whether the 10,000th refresh of one grant costs what the first ones cost."""

from collections.abc import Sequence
from statistics import median

from bench.connection import Connection
from bench.rounds import Round, measured
from bench.running import running, say
from bench.summaries import paired
from bench.target import Target
from bench.work import Grant, Work

REFRESHES = 10_000
FIRST, LAST = "refresh 1 to 10", "refresh 10,000"
_EACH = 10
"""Refreshes of a new grant. The first are compared with the last refreshes of the old one."""

_ROUND = 200


async def measure(targets: Sequence[Target], rounds: int) -> list[Round]:
    """Refresh one grant of each server 10,000 times, then this grant and new grants in turn."""
    done: list[Round] = []
    for target in targets:
        say(f"long grant: {REFRESHES:,} refreshes")
        work = Work(target, 4)
        async with running([work]):
            done += await _measured(work, rounds)
        first, last = cpu(done, target.name)
        say(f"  {target.name}: {paired(last, first).median:.3f} times the first, {median(first):.3f} ms")
    return done


async def _measured(work: Work, rounds: int) -> list[Round]:
    (old,) = await work.grants(1)
    await work.pool.run(REFRESHES, 1, lambda connection, _: work.refresh(connection, old))
    done = []
    for _ in range(rounds):
        new = await work.grants(_ROUND // _EACH)
        done += [await _round(work, FIRST, new), await _round(work, LAST, [old])]
    return done


async def _round(work: Work, name: str, grants: Sequence[Grant]) -> Round:
    async def step(connection: Connection, number: int) -> None:
        await work.refresh(connection, grants[number % len(grants)])

    return await measured(work.target, name, work.pool, step, connections=1, count=_ROUND)


def cpu(rounds: Sequence[Round], target: str) -> tuple[list[float], list[float]]:
    """Return the CPU times of the rounds with new grants, and of those with the old one."""
    mine = [each for each in rounds if each.target == target]
    return (
        [each.cpu for each in mine if each.operation == FIRST],
        [each.cpu for each in mine if each.operation == LAST],
    )
