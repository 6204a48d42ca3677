"""The options of a run."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from bench.work import OPERATIONS

PARTS = (*OPERATIONS, "storage", "long-grant", "replay", "live")
"""What can be measured. `live` is the one that takes long, and is left out of a quick run."""


class Options(Struct, frozen=True, kw_only=True):
    """`publish`: whether the run measures everything. Only such a run writes the page."""

    parts: tuple[str, ...]
    trees: tuple[Path, ...]
    peers: bool
    connections: tuple[int, ...]
    launches: int
    rounds: int
    seconds: float
    grants: int
    live: tuple[int, ...]
    database: str
    processes: tuple[int, ...]
    sync_delays: tuple[float, ...]
    settings: dict[str, str]
    quick: bool
    render: bool

    @property
    def publish(self) -> bool:
        everything = set(PARTS) - ({"live"} if self.quick else set())
        if self.database == "postgresql":
            everything = set(OPERATIONS)
        return self.peers and set(self.parts) >= everything and not self.trees and not self.settings


def parse(arguments: Sequence[str]) -> Options:
    """Return the options. Exits with a message if they contradict each other."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Compare this server with others and write docs/performance.md.",
        epilog="A run with --only, --ours-only, --tree or --set prints its figures and writes no page.",
    )
    parser.add_argument("--quick", action="store_true", help="short rounds, under 10 minutes; also QUICK=1")
    parser.add_argument("--only", metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--ours-only", action="store_true", help="without the peers")
    parser.add_argument(
        "--tree",
        metavar="PATH",
        action="append",
        default=[],
        help="a checkout of ours to measure instead of this one; of several the first is the base",
    )
    parser.add_argument(
        "--connections", metavar="N,...", help="default: 16,64; with --tree or on PostgreSQL: 16"
    )
    parser.add_argument(
        "--launches",
        type=int,
        metavar="N",
        help="how often the servers are started; default: 3; quick or on PostgreSQL: 1",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="of each launch; default: 6; quick: 5")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="of a round; default: 1; --tree: 0.3; quick or on PostgreSQL: 0.2",
    )
    parser.add_argument(
        "--grants", type=int, metavar="N", help="for storage; default: 10000; quick, --tree: 3000"
    )
    parser.add_argument(
        "--live", metavar="N,N", default="1000,1000000", help="live grants; default: %(default)s"
    )
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="a setting of ours, for all trees"
    )
    parser.add_argument(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="postgresql: ours and Better Auth on one PostgreSQL, whose CPU time counts; only operations",
    )
    parser.add_argument(
        "--processes", metavar="N,...", help="of each server, with --database postgresql; default: 1,2,4"
    )
    parser.add_argument(
        "--sync-delay",
        metavar="MS,...",
        help="how much longer each sync of PostgreSQL takes; default: 0,2",
    )
    parser.add_argument("--render", action="store_true", help="write the page again from the last results")
    given = parser.parse_args(arguments)

    comparing = bool(given.tree)
    on_postgresql = given.database == "postgresql"
    if on_postgresql and comparing:
        parser.error("--database postgresql: without --tree")
    if not on_postgresql and (given.processes or given.sync_delay):
        parser.error("--processes and --sync-delay are for --database postgresql")
    parts = tuple(given.only.split(",")) if given.only else _parts(given.quick, comparing or on_postgresql)
    if on_postgresql and set(parts) - set(OPERATIONS):
        parser.error(f"--database postgresql: --only some of {', '.join(OPERATIONS)}")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    trees = tuple(Path(tree).resolve() for tree in given.tree)
    for tree in trees:
        if not (tree / ".venv" / "bin" / "python").exists():
            parser.error(f"--tree: {tree} has no .venv: run `make setup` there")
    if "live" in parts and len(trees) > 1:
        parser.error("--only live: one tree at a time")
    settings = dict(setting.partition("=")[::2] for setting in given.set)
    short = given.quick or comparing
    return Options(
        parts=parts,
        trees=trees,
        peers=not given.ours_only and not comparing,
        # On PostgreSQL it all runs six times, and the page has the figures of one load.
        connections=_numbers(given.connections or ("16" if comparing or on_postgresql else "16,64")),
        launches=given.launches or (1 if given.quick or on_postgresql else 3),
        rounds=given.rounds or (5 if given.quick else 6),
        seconds=given.seconds or (0.2 if given.quick or on_postgresql else 0.3 if comparing else 1.0),
        grants=given.grants or (3_000 if short else 10_000),
        live=_numbers(given.live),
        database=given.database,
        processes=_numbers(given.processes or "1,2,4"),
        sync_delays=tuple(float(delay) for delay in (given.sync_delay or "0,2").split(",")),
        settings=settings,
        quick=given.quick,
        render=given.render,
    )


def _parts(quick: bool, only_operations: bool) -> tuple[str, ...]:
    if only_operations:
        return OPERATIONS
    return tuple(part for part in PARTS if not (quick and part == "live"))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))
