"""What commands print: tables for people, one JSON object a line for programs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import rich_click as click
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNFOLDED = 100_000
_ROOM = 30


def console() -> Console:
    """Return one that folds lines for a terminal only: in a pipe a row is a line, however long."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=_UNFOLDED)


def print_record(record: Mapping[str, Any] | Struct) -> None:
    """Print one JSON object on a line of its own."""
    click.echo(msgspec.json.encode(record))


def print_table(columns: Iterable[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the rows below their columns; where it is narrow cells are folded, and nothing is cut off.

    The first cell is what commands take: it stays whole where the others have some room beside it.
    """
    screen = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        longest = max(len(cell) for cell in (column, *(row[0] for row in rows)))
        whole = place == 0 and longest + _ROOM <= screen.width
        table.add_column(column, overflow="fold", width=longest if whole else None)
    for row in rows:
        table.add_row(*(shown(cell) for cell in row))
    screen.print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print what is known of one thing, a line for each fact; several of one name stand below each other."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    before = None
    for name, value in facts:
        table.add_row("" if name == before else name, shown(value))
        before = name
    console().print(table)


def shown(text: str) -> Text:
    """Return the text with all that a terminal would obey written out: clients name themselves."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))


def moment(seconds: int | None) -> str:
    """Return the time in UTC, to the minute."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def second(seconds: int) -> str:
    """Return the time in UTC, where it matters to the second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
