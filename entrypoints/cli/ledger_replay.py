import os
import sys
from pathlib import Path
from time import perf_counter

import msgspec
import rich_click as click
from rich.console import Console

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.adapters.ledger.replay import Difference, Page, Replay
from grantledger.entrypoints.cli.ledger_progress import progress
from grantledger.entrypoints.cli.options import database_options, given
from grantledger.entrypoints.settings import Settings, load_settings

SHOWN = 50
"""How many differences a person is shown; `--json` has all."""


@click.command()
@click.option("--json", "json_lines", is_flag=True, help="One JSON object a line: each difference, then all.")
@database_options
def replay(*, json_lines: bool, database: str | None, config: Path | None) -> None:
    """Fold the log anew, and compare what it gives with the rows that requests are answered from.

    Writes nothing, and may run while servers do. Exit code 1 names every row that is missing, is there
    without events, or is not what its events say: `ledger rebuild` makes them right.
    """
    settings = load_settings(config, os.environ, given(database=database))
    console = Console(highlight=False, quiet=json_lines)
    replaying = Replay(_opened(settings), TagMapper(), realm=settings.realm)
    events = rows = found = 0

    with progress(console, "Replaying", total := replaying.events()) as tell:

        def compared(page: Page) -> None:
            nonlocal events, rows
            events, rows = events + page.events, rows + len(page.rows)
            tell(events, max(events, total))

        for found, difference in enumerate(replaying.differences(compared), start=1):
            if json_lines:
                click.echo(msgspec.json.encode(_told(difference)))
            elif found <= SHOWN:
                console.print(str(difference), soft_wrap=True, markup=False)
    if json_lines:
        click.echo(msgspec.json.encode({"events": events, "rows": rows, "differences": found}))
    else:
        more = f" ({found - SHOWN} of them not shown)" if found > SHOWN else ""
        differ = "all as it says" if not found else f"{found} of them differ from it{more}"
        click.echo(f"{events} events replayed into {rows} rows: {differ}")
    sys.exit(1 if found else 0)


@click.command()
@click.option("--json", "json_lines", is_flag=True, help="Say what was done as a JSON object.")
@database_options
def rebuild(*, json_lines: bool, database: str | None, config: Path | None) -> None:
    """Fold the log into new rows, and put them in the place of those that requests are answered from.

    May run while servers do: no request waits for it or notices. Interrupted, it has changed nothing.
    For after `ledger replay` found a difference, and after an upgrade that folds events in another way.
    It concerns every realm of the database, and needs room for the rows once more.
    """
    settings = load_settings(config, os.environ, given(database=database))
    console = Console(highlight=False, quiet=json_lines)
    file = _opened(settings)
    begun, events = perf_counter(), 0
    with progress(console, "Rebuilding", 0) as tell:
        for step in Rebuild(file, TagMapper()).steps():
            tell(step.folded, step.head)
            events = step.folded
    seconds = round(perf_counter() - begun, 3)
    if json_lines:
        click.echo(msgspec.json.encode({"events": events, "seconds": seconds}))
    else:
        click.echo(f"{events} events folded into new rows, which are in place")


def _opened(settings: Settings) -> Database:
    file = Database(settings.database)
    migrations.check(file)
    return file


def _told(difference: Difference) -> dict[str, str]:
    return {"category": difference.category, "key": difference.key, "difference": difference.sentence}
