"""Lists of any length, read and printed a page at a time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import rich_click as click
from click import get_current_context
from msgspec import Struct

from grantledger.application.ports import MAX_PAGE, Page
from grantledger.entrypoints.cli.output import print_record, print_table

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S")

Record = Mapping[str, Any]
Columns = Mapping[str, Callable[[Any], str | None]]
"""By heading, what stands there of a record."""


class Fetch(Protocol[S]):
    """One of the lists of the port `Listings`."""

    def __call__(self, *, after: str | None = None, limit: int = MAX_PAGE) -> Awaitable[Page[S]]: ...


class Cut(Struct, frozen=True):
    """Which part of a list is wanted: `limit` items behind the key `after`, all where that is None."""

    after: str | None
    limit: int | None


def cut_options(command: F) -> F:
    """Add `--limit`, `--all` and `--after`."""
    options = (
        click.option(
            "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many."
        ),
        click.option("--all", "everything", is_flag=True, help="All there are, however many."),
        click.option("--after", metavar="ID", help="Only what comes behind this one in the list."),
    )
    for option in reversed(options):
        command = option(command)
    return command


async def each(fetch: Fetch[S], cut: Cut) -> AsyncIterator[tuple[str, S]]:
    """Yield what is wanted, by key; say on standard error where more would follow."""
    left, after = cut.limit, cut.after
    while True:
        page = await fetch(after=after, limit=MAX_PAGE if left is None else min(left, MAX_PAGE))
        for item in page.items:
            assert item.state is not None  # only what has happened is listed
            yield item.key, item.state
        after = page.after
        left = None if left is None else left - len(page.items)
        if after is None:
            return
        if left == 0:
            more = f"There are more: go on with --after {after}, or give --all."
            # When the list has been printed.
            get_current_context().call_on_close(partial(click.echo, more, err=True))
            return


async def print_list(
    found: AsyncIterator[Record],
    *,
    as_json: bool,
    columns: Columns,
    nothing: str,
) -> None:
    """Print a JSON object for each record as it is found, or a table of all of them with these columns."""
    if as_json:
        async for record in found:
            print_record(record)
        return
    rows = [[told(record) or "" for told in columns.values()] async for record in found]
    if rows:
        print_table(columns, rows)
    else:
        click.echo(nothing)
