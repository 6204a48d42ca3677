"""The operations on all servers in turn, and how much memory each holds after them."""

from collections.abc import Sequence

from msgspec import Struct

from bench.options import Options
from bench.processes import memory_mb
from bench.rounds import Round, of, run_rounds, warm_up
from bench.running import running, say
from bench.summaries import paired, summary
from bench.target import Target
from bench.work import OPERATIONS, Work


class Operations(Struct, frozen=True):
    """All rounds, and the memory of each server in MB at the end of its last launch."""

    rounds: list[Round]
    memory: dict[str, float]


async def measure(targets: Sequence[Target], options: Options) -> Operations:
    """Measure the operations. Each launch starts the servers again, since no two processes are alike."""
    rounds: list[Round] = []
    memory: dict[str, float] = {}
    works = [Work(target, max(options.connections)) for target in targets]
    for launch in range(options.launches):
        say(f"operations: launch {launch + 1} of {options.launches}")
        async with running(works):
            for operation in (each for each in OPERATIONS if each in options.parts):
                counts = await warm_up(works, operation, options.seconds)
                for connections in options.connections:
                    rounds += await run_rounds(works, operation, connections, options.rounds, counts)
                    say(_progress(rounds, targets, operation, connections))
            memory = {target.name: round(memory_mb(target.pid), 1) for target in targets}
    return Operations(rounds, memory)


def _progress(rounds: Sequence[Round], targets: Sequence[Target], operation: str, connections: int) -> str:
    spent = {
        target.name: summary([each.cpu for each in of(rounds, target.name, operation, connections)]).median
        for target in targets
    }
    parts = ", ".join(f"{name} {cpu:.2f}" for name, cpu in spent.items())
    return f"  {operation}, {connections} connections, CPU ms: {parts}"


_HEAD = (
    f"{'operation':<11}{'conn.':>5}  {'server':<14}{'CPU ms':>8}  {'quartiles':<15}{'range':<15}"
    f"{'ratio':>6}  {'quartiles':<13}{'/s':>6}{'p50':>8}{'p99':>8}{'load':>6}{'others':>8}"
)


def table(found: Operations, targets: Sequence[Target], options: Options) -> str:
    """Return all figures with the ratio of CPU time to that of the first server."""
    parts = [_HEAD]
    for operation in (each for each in OPERATIONS if each in options.parts):
        parts += [_lines(found.rounds, targets, operation, number) for number in options.connections]
    parts.append("memory " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in found.memory.items()))
    return "\n".join(parts)


def _lines(rounds: Sequence[Round], targets: Sequence[Target], operation: str, connections: int) -> str:
    base = [each.cpu for each in of(rounds, targets[0].name, operation, connections)]
    return "\n".join(_line(of(rounds, target.name, operation, connections), base) for target in targets)


def _line(rounds: Sequence[Round], base: Sequence[float]) -> str:
    first, spent = rounds[0], [each.cpu for each in rounds]
    cpu, ratio = summary(spent), paired(spent, base)

    def middle(*values: float) -> float:
        return summary(values).median

    return (
        f"{first.operation:<11}{first.connections:>5}  {first.target:<14}{cpu.median:>8.3f}  "
        f"{f'{cpu.low:.3f}-{cpu.high:.3f}':<15}{f'{cpu.least:.3f}-{cpu.greatest:.3f}':<15}"
        f"{ratio.median:>6.3f}  {f'{ratio.low:.3f}-{ratio.high:.3f}':<13}"
        f"{middle(*(each.per_second for each in rounds)):>6.0f}"
        f"{middle(*(each.p50 for each in rounds)):>8.1f}{middle(*(each.p99 for each in rounds)):>8.1f}"
        f"{middle(*(each.generator for each in rounds)):>6.2f}"
        f"{middle(*(each.others for each in rounds)):>8.2f}"
    )
