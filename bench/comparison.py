"""Versions of ours beside each other: CPU time for each operation, and its ratio to the first version's."""

from collections.abc import Sequence

from bench.options import Options
from bench.rounds import Round
from bench.running import run_rounds, running, say
from bench.summaries import paired, summary
from bench.target import Target
from bench.work import OPERATIONS, Work


async def operations(targets: Sequence[Target], options: Options) -> list[Round]:
    """Measure the operations. Each launch starts the servers again, since no two processes are alike."""
    done: list[Round] = []
    works = [Work(target, max(options.connections)) for target in targets]
    for launch in range(options.launches):
        say(f"launch {launch + 1} of {options.launches}")
        async with running(works):
            for operation in (each for each in OPERATIONS if each in options.parts):
                for connections in options.connections:
                    done += await run_rounds(
                        works, operation, connections, rounds=options.rounds, seconds=options.seconds
                    )
                    say(lines(done, targets, operation, connections))
    return done


def of(rounds: Sequence[Round], target: str, operation: str, connections: int) -> list[Round]:
    wanted = (target, operation, connections)
    return [each for each in rounds if (each.target, each.operation, each.connections) == wanted]


HEAD = (
    f"{'operation':<11}{'conn.':>5}  {'server':<14}{'CPU ms':>8}  {'quartiles':<13} {'range':<13}"
    f"{'ratio':>7}  {'quartiles':<13}{'/s':>7}{'p50':>8}{'p99':>8}{'load':>6}{'others':>8}"
)
"""`load` is the CPU time of the load generator; `others` the share of the machine that others used."""


def lines(rounds: Sequence[Round], targets: Sequence[Target], operation: str, connections: int) -> str:
    """Return a line for each target, with the ratio to the first."""
    base = [each.cpu for each in of(rounds, targets[0].name, operation, connections)]
    told = []
    for target in targets:
        mine = of(rounds, target.name, operation, connections)
        cpu, ratio = summary([each.cpu for each in mine]), paired([each.cpu for each in mine], base)
        rest = [summary([getattr(each, name) for each in mine]).median for name in REST]
        told.append(
            f"{operation:<11}{connections:>5}  {target.name:<14}{cpu.median:>8.3f}  "
            f"{f'{cpu.low:.3f}-{cpu.high:.3f}':<13} {f'{cpu.least:.3f}-{cpu.greatest:.3f}':<13}"
            f"{ratio.median:>7.3f}  {f'{ratio.low:.3f}-{ratio.high:.3f}':<13}"
            f"{rest[0]:>7.0f}{rest[1]:>8.1f}{rest[2]:>8.1f}{rest[3]:>6.2f}{rest[4]:>8.2f}"
        )
    return "\n".join(told)


REST = ("per_second", "p50", "p99", "generator", "others")
