"""Ours and Better Auth on one PostgreSQL, by the number of processes and by the time of a sync."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from bench import operations
from bench.options import Options
from bench.ours import ROOT, Ours
from bench.peers.targets import BetterAuth16, BetterAuth17
from bench.postgresql import postgresql
from bench.rounds import Round
from bench.running import installed, say
from bench.target import Target

RESULTS = ROOT / "docs" / "performance" / "postgresql.json"


class Setup(Struct, frozen=True):
    """What was measured with `processes` of each server, and with syncs that take `sync_delay` ms longer.

    `commit` is the milliseconds of a commit that only syncs.
    """

    processes: int
    sync_delay: float
    commit: float
    rounds: list[Round]


class PostgresResults(Struct, frozen=True):
    """A run on PostgreSQL; the first setup is the one that the goals are for."""

    date: str
    quick: bool
    machine: str
    titles: dict[str, str]
    missing: dict[str, str]
    setups: list[Setup]


async def measure(options: Options, *, date: str, machine: str) -> PostgresResults:
    """Measure every setup, and print its figures. Raises `NotInstalled`."""
    titles: dict[str, str] = {}
    missing: dict[str, str] = {}
    setups: list[Setup] = []
    for delay in options.sync_delays:
        for processes in options.processes:
            say(f"PostgreSQL: {processes} processes each, {delay:g} ms of sync delay")
            with postgresql(delay) as store:
                ours = Ours(ROOT, settings=options.settings, store=store, processes=processes)
                kinds = (BetterAuth16, BetterAuth17) if options.peers else ()
                peers, missing = installed([kind(store, processes) for kind in kinds])
                targets: Sequence[Target] = [ours, *peers]
                commit = store.sync_milliseconds()
                found = await operations.measure(targets, options)
            titles = {target.name: target.title for target in targets}
            setups.append(Setup(processes, delay, round(commit, 2), found.rounds))
            print(f"{processes} processes, sync delay {delay:g} ms, a commit takes {commit:.2f} ms")
            print(operations.table(found, targets, options), flush=True)
    return PostgresResults(date, options.quick, machine, titles, missing, setups)


def load() -> PostgresResults | None:
    """Return the last published run, None if there is none."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=PostgresResults) if RESULTS.exists() else None


def save(results: PostgresResults) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
