from pathlib import Path
from time import perf_counter

import rich_click as click

from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.adapters.ledger.replay import Difference, Page, Replay
from grantledger.entrypoints.cli.failures import RowsDiffer
from grantledger.entrypoints.cli.options import database_options, json_option
from grantledger.entrypoints.cli.output import print_record
from grantledger.entrypoints.cli.progress import progress
from grantledger.entrypoints.cli.running import checked

SHOWN = 50
"""How many differences a person is shown; `--json` has all."""


@click.command()
@json_option
@database_options
def replay(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Fold the log anew, and compare what it gives with the rows that requests are answered from.

    Writes nothing, and may run while servers do. Exit code 1 names every row that is missing, is there
    without events, or is not what its events say: `ledger rebuild` makes them right.
    """
    container = checked(database, config)
    replaying = Replay(container.database(), TagMapper(), realm=container.settings().realm)
    events = rows = found = 0
    shown: list[Difference] = []
    total = replaying.events()

    with progress("Replaying") as tell:

        def compared(page: Page) -> None:
            nonlocal events, rows
            events, rows = events + page.events, rows + len(page.rows)
            tell(events, max(events, total))

        for found, difference in enumerate(replaying.differences(compared), start=1):
            if as_json:
                print_record(_told(difference))
            elif found <= SHOWN:
                shown.append(difference)
    for difference in shown:
        click.echo(str(difference))
    if as_json:
        print_record({"events": events, "rows": rows, "differences": found})
    else:
        more = f" ({found - SHOWN} of them not shown)" if found > SHOWN else ""
        differ = "all as it says" if not found else f"{found} of them differ from it{more}"
        click.echo(f"{events} events replayed into {rows} rows: {differ}")
    if found:
        raise RowsDiffer("rows are not what the log says: `grantledger ledger rebuild` makes them right")


@click.command()
@json_option
@database_options
def rebuild(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Fold the log into new rows, and put them in the place of those that requests are answered from.

    May run while servers do: no request waits for it or notices. Interrupted, it has changed nothing.
    For after `ledger replay` found a difference, and after an upgrade that folds events in another way.
    It concerns every realm of the database, and needs room for the rows once more.
    """
    file = checked(database, config).database()
    begun, events = perf_counter(), 0
    with progress("Rebuilding") as tell:
        for step in Rebuild(file, TagMapper()).steps():
            tell(step.folded, step.head)
            events = step.folded
    seconds = round(perf_counter() - begun, 3)
    if as_json:
        print_record({"events": events, "seconds": seconds})
    else:
        click.echo(f"{events} events folded into new rows, which are in place")


def _told(difference: Difference) -> dict[str, str]:
    return {"category": difference.category, "key": difference.key, "difference": difference.sentence}
