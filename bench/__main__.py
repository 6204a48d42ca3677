"""Compare this server with others: `make bench`, or `python -m bench --help`."""

import asyncio
import gc
import shutil
import signal
import sys
import time

import uvloop

from bench import live, long_grant, operations, plots, storage, stores
from bench.options import Options, parse
from bench.ours import ROOT, Ours
from bench.page import page
from bench.peers.targets import ALL
from bench.processes import machine_name
from bench.results import Results, load, save
from bench.running import installed, say
from bench.target import WORK, Target
from bench.work import OPERATIONS

PAGE = ROOT / "docs" / "performance.md"
FOLDER = ROOT / "docs" / "performance"
RESULTS = FOLDER / "results.json"


async def measure(options: Options) -> Results:
    """Measure what the options name, and print the figures."""
    ours = _ours(options)
    peers, missing = installed([kind() for kind in ALL] if options.peers else [])
    for title, why in missing.items():
        say(f"without {title}: {why}")
    targets: list[Target] = [*ours, *peers]
    found = operations.Operations([], {})
    if set(options.parts) & set(OPERATIONS):
        found = await operations.measure(targets, options)
        print(operations.table(found, targets, options))
    stored: list[storage.Storage] = []
    folded: list[storage.Folding] = []
    if {"storage", "replay"} & set(options.parts):
        brief = {"code_expires_in": str(storage.CODE_EXPIRES_IN)}
        kept = [Ours(each.tree, each.name, options.settings | brief) for each in ours]
        stored, folded = await storage.measure(
            [*kept, *peers], options.grants, fold="replay" in options.parts
        )
    long = await long_grant.measure(ours, options.rounds) if "long-grant" in options.parts else []
    counts = list(options.live) if "live" in options.parts else []
    many = await live.measure(ours[0].tree, counts, options) if counts else []
    return Results(
        date=time.strftime("%d %B %Y").lstrip("0"),
        quick=options.quick,
        machine=machine_name(),
        titles={target.name: target.title for target in targets},
        missing=missing,
        connections=list(options.connections),
        rounds=found.rounds,
        memory=found.memory,
        storage=stored,
        folding=folded,
        long_grant=long,
        live=counts,
        live_rounds=many,
    )


def _ours(options: Options) -> list[Ours]:
    trees = options.trees or (ROOT,)
    names = (
        ["ours"] if len(trees) == 1 else [f"{chr(ord('A') + n)}:{t.name}"[:14] for n, t in enumerate(trees)]
    )
    return [Ours(tree, name, options.settings) for tree, name in zip(trees, names, strict=True)]


def publish(results: Results) -> None:
    """Write the page and its plots."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "cpu.svg").write_text(plots.cpu(results), encoding="utf-8")
    (FOLDER / "latency.svg").write_text(plots.latency(results), encoding="utf-8")
    PAGE.write_text(page(results, stores.load()), encoding="utf-8")
    say(f"written: {PAGE.relative_to(ROOT)}")


async def main() -> None:
    """Run, and stop all servers even if SIGTERM ends the run."""
    options = parse(sys.argv[1:])
    if options.render:
        publish(load(RESULTS))
        return
    if options.database == "postgresql":
        task: asyncio.Future[object] = asyncio.ensure_future(_measure_postgresql(options))
    else:
        task = asyncio.ensure_future(_measure_all(options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task
    shutil.rmtree(WORK)  # after a failure its logs are needed
    say("done")


async def _measure_all(options: Options) -> None:
    results = await measure(options)
    if options.publish:
        save(results, RESULTS)
        publish(results)


async def _measure_postgresql(options: Options) -> None:
    """Measure on PostgreSQL, and write its part of the page again."""
    date = time.strftime("%d %B %Y").lstrip("0")
    found = await stores.measure(options, date=date, machine=machine_name())
    if options.publish:
        stores.save(found)
        publish(load(RESULTS))


if __name__ == "__main__":
    gc.disable()  # collected between rounds
    uvloop.run(main())
