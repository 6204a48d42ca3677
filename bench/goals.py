"""The goals and floors of this project, and whether a run meets them."""

from collections.abc import Container, Iterator, Mapping, Sequence

from msgspec import Struct

from bench import live, long_grant
from bench.results import Results
from bench.rounds import Round, of
from bench.summaries import Summary, paired, summary
from bench.work import OPERATIONS

OURS, RIVAL, SAME_WORK = "ours", "ba16", "ba17"
LOAD, CROWD = 16, 64
"""The number of connections for the comparison of CPU time, and for that of latency."""

FRACTIONS = {
    "register": (1 / 1.5, 1.0),
    "authorize": (1 / 2.8, 1 / 2),
    "token": (1 / 2.8, 1 / 2),
    "session": (1 / 2.4, 1 / 1.9),
    "refresh": (1 / 2.2, 1 / 1.7),
    "flow": (1 / 1.3, 1.0),
}
"""Goal and floor: the most CPU time, as a fraction of that of Better Auth 1.6."""

ON_POSTGRESQL = FRACTIONS | {"session": (1 / 1.5, 1 / 1.5)}
"""The same on PostgreSQL, whose CPU time is counted with that of the server."""

OF_SAME_WORK = 1 / 4
STORAGE_MB, MEMORY_MB, LIVE, LONG_GRANT = 25.0, 130.0, 1.15, 1.1


class Line(Struct, frozen=True):
    """A goal, a floor and what was measured; less is better. `floor` is the most that is accepted.

    Goal and floor may be equal.
    """

    what: str
    measured: Summary
    goal: float
    floor: float
    unit: str = ""

    @property
    def verdict(self) -> str:
        if self.measured.median > self.floor:
            return "**missed**"
        return "goal met" if self.measured.median <= self.goal else "floor met"


def lines(results: Results) -> Iterator[Line]:
    """Yield each goal that the run has measured."""
    yield from cpu(results.titles, results.rounds, FRACTIONS)
    yield from _latency(results)
    for stored in results.storage:
        if stored.target == OURS:
            yield _bound("storage of 10,000 grants", [stored.mb], STORAGE_MB, " MB")
    if OURS in results.memory:
        yield _bound("memory of the process after the load", [results.memory[OURS]], MEMORY_MB, " MB")
    yield from _growth(results)


def cpu(
    titles: Container[str], rounds: Sequence[Round], fractions: Mapping[str, tuple[float, float]]
) -> Iterator[Line]:
    """Yield the goals for the CPU time of each operation."""
    for rival, title in ((RIVAL, "Better Auth 1.6"), (SAME_WORK, "Better Auth 1.7")):
        if rival not in titles:
            continue
        for operation in OPERATIONS:
            goal, floor = fractions[operation] if rival == RIVAL else (OF_SAME_WORK, OF_SAME_WORK)
            ratio = paired(*(_cpu_of(rounds, name, operation) for name in (OURS, rival)))
            yield Line(f"{operation}: CPU time, relative to {title}", ratio, goal, floor)


def _latency(results: Results) -> Iterator[Line]:
    """The goal is half of the p99 of Better Auth 1.7, the floor is the p99 of Better Auth 1.6."""
    if not {RIVAL, SAME_WORK} <= results.titles.keys():
        return
    for operation in OPERATIONS:
        measured, rival, same_work = (
            summary([each.p99 for each in of(results.rounds, name, operation, CROWD)])
            for name in (OURS, RIVAL, SAME_WORK)
        )
        what = f"{operation}: p99 at {CROWD} connections"
        yield Line(what, measured, same_work.median / 2, rival.median, " ms")


def _growth(results: Results) -> Iterator[Line]:
    if results.live:
        few, many = results.live[0], results.live[-1]
        for operation in live.MEASURED:
            cost = [live.cpu(results.live_rounds, count, operation) for count in (many, few)]
            what = f"{operation}: CPU time with {many:,} live grants, relative to {few:,}"
            yield _bound(what, paired(*cost), LIVE)
    if results.long_grant:
        first, last = long_grant.cpu(results.long_grant, OURS)
        what = f"the {long_grant.REFRESHES:,}th refresh of a grant: CPU time, relative to the first"
        yield _bound(what, paired(last, first), LONG_GRANT)


def _bound(what: str, measured: Summary | list[float], most: float, unit: str = "") -> Line:
    return Line(what, summary(measured) if isinstance(measured, list) else measured, most, most, unit)


def _cpu_of(rounds: Sequence[Round], name: str, operation: str) -> list[float]:
    return [each.cpu for each in of(rounds, name, operation, LOAD)]
