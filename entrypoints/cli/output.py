"""The output of commands: tables and facts for people, one JSON object per line for programs, progress bars.

Rich is imported by the functions that draw with it: JSON output does not need it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
import rich_click as click
from click import get_current_context
from msgspec import Struct

from grantledger.application.ports import MAX_PAGE, ListPage

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S")

Record = Mapping[str, Any]
"""A client, user or grant as it is printed. Times are seconds since 1970, UTC."""

Columns = Mapping[str, Callable[[Any], str | None]]
"""The headings of a table, each with the function that returns the cell of a record."""

_PIPE_WIDTH = 100_000
_MIN_REST_WIDTH = 30


# Records, tables and facts


def print_record(record: Record | Struct) -> None:
    """Print one JSON object on one line."""
    click.echo(msgspec.json.encode(record))


def print_table(columns: Iterable[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the rows as a table. On a narrow terminal, cells are wrapped, not cut off.

    The first cell is not wrapped if there is room for the other cells, because other commands take it as an
    argument.
    """
    from rich.table import Table
    from rich.text import Text

    screen = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        longest = max(len(cell) for cell in (column, *(row[0] for row in rows)))
        unfolded = index == 0 and longest + _MIN_REST_WIDTH <= screen.width
        table.add_column(column, overflow="fold", width=longest if unfolded else None)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    screen.print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print one line per fact. Of consecutive facts with the same name, only the first shows the name."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    before = None
    for name, value in facts:
        table.add_row("" if name == before else name, Text(printable(value)))
        before = name
    console().print(table)


def console() -> "Console":
    """Return a console that wraps lines only on a terminal, so that in a pipe each row is one line."""
    from rich.console import Console

    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def printable(text: str) -> str:
    """Return the text with control characters escaped, because clients choose their own names."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def to_minute(seconds: int | None) -> str:
    """Return the time in UTC, to the minute."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def to_second(seconds: int) -> str:
    """Return the time in UTC, to the second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


# Lists, one page at a time


class FetchPage(Protocol[S]):
    """One of the lists of the port `Listings`."""

    def __call__(self, *, after: str | None = None, limit: int = MAX_PAGE) -> Awaitable[ListPage[S]]: ...


class Part(Struct, frozen=True):
    """The part of a list to print: `limit` items after the key `after`. None means no limit."""

    after: str | None
    limit: int | None


def part_options(command: F) -> F:
    """Add `--limit`, `--all` and `--after`."""
    options = (
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            metavar="N",
            default=100,
            show_default=True,
            help="Show at most this many.",
        ),
        click.option("--all", "everything", is_flag=True, help="Show all."),
        click.option("--after", metavar="ID", help="Continue the list after this id."),
    )
    for option in reversed(options):
        command = option(command)
    return command


async def items_of(fetch: FetchPage[S], part: Part) -> AsyncIterator[tuple[str, S]]:
    """Yield the items of the part with their keys. If there are more, standard error says so at the end."""
    left, after = part.limit, part.after
    while True:
        page = await fetch(after=after, limit=MAX_PAGE if left is None else min(left, MAX_PAGE))
        for item in page.items:
            assert item.state is not None  # a list has only streams with events
            yield item.key, item.state
        after = page.after
        left = None if left is None else left - len(page.items)
        if after is None:
            return
        if left == 0:
            more = f"There are more: continue with --after {after}, or give --all."
            # Printed after the list.
            get_current_context().call_on_close(partial(click.echo, more, err=True))
            return


async def print_list(
    records: AsyncIterator[Record],
    *,
    as_json: bool,
    columns: Columns,
    nothing: str,
) -> None:
    """Print a JSON object per record as it arrives, or one table of all records."""
    if as_json:
        async for record in records:
            print_record(record)
        return
    rows = [[cell(record) or "" for cell in columns.values()] async for record in records]
    if rows:
        print_table(columns, rows)
    else:
        click.echo(nothing)


# Progress


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar if standard error is a terminal. Yields the function to update it.

    Call that function with the amount done and the total. Standard output is not redirected.
    """
    from rich.console import Console

    terminal = Console(stderr=True)
    if not terminal.is_terminal:
        yield lambda _done, _total: None
        return

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=terminal, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
