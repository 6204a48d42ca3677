"""Measure this server beside its peers: `make bench`, or `python -m bench --help`."""

import asyncio
import gc
import signal
import sys

import uvloop

from bench import comparison
from bench.options import Options, parse
from bench.ours import ROOT, Ours
from bench.peers.targets import ALL
from bench.running import installed, say
from bench.target import Target
from bench.work import OPERATIONS


async def measure(options: Options) -> None:
    trees = options.trees or (ROOT,)
    names = [f"{letter}:{tree.name}"[:14] for letter, tree in zip("ABCDEFGH", trees, strict=False)]
    if len(trees) == 1:
        names = ["ours"]
    targets: list[Target] = [
        Ours(tree, name, **options.settings) for tree, name in zip(trees, names, strict=True)
    ]
    peers, missing = installed([kind() for kind in ALL] if options.peers else [])
    targets += peers
    for title, why in missing.items():
        say(f"without {title}: {why}")
    say(comparison.HEAD)
    rounds = await comparison.operations(targets, options)
    print(comparison.HEAD)
    for operation in (each for each in OPERATIONS if each in options.parts):
        for connections in options.connections:
            print(comparison.lines(rounds, targets, operation, connections))


async def main() -> None:
    """Stop all servers also where the run is ended by SIGTERM."""
    task = asyncio.ensure_future(measure(parse(sys.argv[1:])))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


if __name__ == "__main__":
    gc.disable()  # collected between rounds
    uvloop.run(main())
