"""Whether an operation costs more with many live grants, measured on a server with few and one with many."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.options import Options
from bench.ours import Ours
from bench.rounds import Round, of, run_rounds, warm_up
from bench.running import running, say
from bench.summaries import paired
from bench.target import clean_environment
from bench.work import Work

MEASURED = ("authorize", "token", "session", "refresh")
CONNECTIONS = 16
SAMPLE = 8_000
"""The operations work on this many of the grants."""

_DAY = "86400"
_FILL = Path(__file__).with_name("fill.py")


async def measure(tree: Path, live: Sequence[int], options: Options) -> list[Round]:
    """Open the grants of each count in `live`, and measure.

    Most are opened in the ledger directly. The operations work on a sample that is opened through the
    endpoints; ids are random, so that it is spread over the tables.
    """
    targets = [
        Ours(tree, name(count), options.settings | {"access_token_expires_in": _DAY}) for count in live
    ]
    works = [Work(target, CONNECTIONS) for target in targets]
    done: list[Round] = []
    rounds = options.rounds * options.launches
    async with running(works):
        for work, target, count in zip(works, targets, live, strict=True):
            say(f"live grants: opening {count:,}")
            _fill(target, max(0, count - SAMPLE))
            await work.use_new_grants(min(count, SAMPLE))
        for operation in MEASURED:
            counts = await warm_up(works, operation, options.seconds)
            done += await run_rounds(works, operation, CONNECTIONS, rounds, counts)
            ratio = paired(cpu(done, live[-1], operation), cpu(done, live[0], operation))
            say(f"  {operation}: {ratio.median:.3f} times as much with {live[-1]:,} as with {live[0]:,}")
    return done


def _fill(target: Ours, count: int) -> None:
    subprocess.run(
        [target.python, _FILL, str(count)],
        cwd=target.directory,
        env=clean_environment() | target.environment,
        check=True,
    )


def name(count: int) -> str:
    return f"live-{count}"


def cpu(rounds: Sequence[Round], count: int, operation: str) -> list[float]:
    return [each.cpu for each in of(rounds, name(count), operation, CONNECTIONS)]
