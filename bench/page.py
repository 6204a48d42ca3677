"""The page docs/performance.md, from what a run found."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench import goals
from bench.goals import Line
from bench.plots import figure
from bench.results import Results
from bench.rounds import Round, of
from bench.storage import CODE_EXPIRES_IN
from bench.stores import PostgresResults
from bench.summaries import Summary, summary
from bench.work import OPERATIONS

BUSY = 0.1
"""The share of the machine that other processes may use before the page warns."""

_TEMPLATE = Path(__file__).with_name("template.md")


def page(results: Results, on_postgresql: PostgresResults | None) -> str:
    """Return the Markdown of the page, with the last run on PostgreSQL if there is one."""
    return _TEMPLATE.read_text(encoding="utf-8").format(
        date=results.date,
        kind="quick" if results.quick else "full",
        machine=results.machine,
        servers="\n".join(f"- {name}: {title}" for name, title in results.titles.items()),
        notices="\n\n".join(_notices(results)),
        goals=_goals(goals.lines(results)),
        postgresql="\n\n".join(_postgresql(on_postgresql)) if on_postgresql else "Not measured yet.",
        cpu=_by_operation(results.titles, results.rounds, (goals.LOAD,), ("cpu",)),
        latency=_by_operation(results.titles, results.rounds, results.connections, ("p50", "p99")),
        per_second=_by_operation(results.titles, results.rounds, (goals.LOAD,), ("per_second",)),
        storage=_storage(results),
        folding="\n".join(_folding(results)),
        generator=figure(_middle([r for r in results.rounds if r.operation == "session"], "generator")),
        grants=f"{results.storage[0].grants:,}",
        expires=CODE_EXPIRES_IN,
    )


def _notices(results: Results) -> Iterable[str]:
    if results.missing:
        left_out = "; ".join(f"{title} ({why})" for title, why in results.missing.items())
        yield f"**Left out**, with the goals that compare with it: {left_out}."
    if not results.live:
        yield "**Left out** of a quick run: what a million live grants cost."
    others = _middle(results.rounds, "others")
    if others > BUSY:
        yield (
            f"**Disturbed:** other processes used {others:.0%} of the machine, so these figures are rough.\n"
            "A server that waits for a processor finds more requests at once, and spends less on each."
        )


def _goals(lines: Iterable[Line]) -> str:
    rows = [
        [
            line.what,
            f"{figure(line.measured.median)}{line.unit}{_spread(line.measured)}",
            f"{figure(line.goal)}{line.unit}",
            f"{figure(line.floor)}{line.unit}",
            line.verdict,
        ]
        for line in lines
    ]
    return _table(["what", "measured", "goal", "floor", ""], rows)


def _spread(of_rounds: Summary) -> str:
    low, high = figure(of_rounds.low), figure(of_rounds.high)
    return f" ({low} to {high})" if low < high else ""


def _postgresql(results: PostgresResults) -> Iterable[str]:
    kind = "quick" if results.quick else "full"
    yield (
        f"Measured on {results.date} in a {kind} run, on {results.machine}.\n"
        "Each server has a database of its own on one PostgreSQL 18 with default settings. The CPU time of\n"
        "PostgreSQL is added to that of the server. All rounds are in\n"
        "[performance/postgresql.json](performance/postgresql.json)."
    )
    yield "\n".join(f"- {name}: {title}" for name, title in results.titles.items())
    first = results.setups[0]
    others = _middle(first.rounds, "others")
    if others > BUSY:
        yield f"**Disturbed:** other processes used {others:.0%} of the machine, so these figures are rough."
    yield _goals(goals.cpu(results.titles, first.rounds, goals.ON_POSTGRESQL))
    for setup in results.setups:
        processes = f"{setup.processes} process{'es' if setup.processes > 1 else ''} of each server"
        slower = f", each sync {setup.sync_delay:g} ms slower" if setup.sync_delay else ""
        yield f"### {processes}{slower}"
        yield (
            f"A commit that only syncs takes {setup.commit:.2f} ms. With {goals.LOAD} connections:\n"
            "CPU ms for one operation / operations per second / p99 in ms."
        )
        figures = ("cpu", "per_second", "p99")
        yield _by_operation(results.titles, setup.rounds, (goals.LOAD,), figures)


def _by_operation(
    titles: Mapping[str, str],
    rounds: Sequence[Round],
    connections: Sequence[int],
    figures: Sequence[str],
) -> str:
    rows = []
    for number in connections:
        for name in titles:
            cells = [of(rounds, name, operation, number) for operation in OPERATIONS]
            shown = [" / ".join(figure(_middle(cell, each)) for each in figures) for cell in cells]
            rows.append([f"{name}, {number} connections" if len(connections) > 1 else name, *shown])
    return _table(["server", *OPERATIONS], rows)


def _storage(results: Results) -> str:
    stored = {each.target: f"{each.mb:.1f}" for each in results.storage}
    rows = [[name, stored.get(name, "in memory"), figure(results.memory[name])] for name in results.titles]
    return _table(["server", "MB of 10,000 grants", "MB of memory after the load"], rows)


def _folding(results: Results) -> Iterable[str]:
    for folding in results.folding:
        replay, rebuild = (cost / folding.decode for cost in (folding.replay, folding.rebuild))
        yield (
            f"Reading and decoding a log of {folding.events:,} events takes {folding.decode:.2f} s of CPU.\n"
            f"Replaying it, which compares it with the rows, takes {replay:.1f} times as much;\n"
            f"rebuilding the rows {rebuild:.1f} times."
        )


def _middle(rounds: Iterable[Round], name: str) -> float:
    return summary([getattr(each, name) for each in rounds]).median


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
