"""The read model once more, from nothing but the log: it must be what the live tables hold."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table, bindparam, exists, func, select, tuple_

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.projection import Row, row
from grantledger.adapters.ledger.schema import ROWS, events
from grantledger.adapters.ledger.statements import compiled
from grantledger.domain.aggregate import Versioned
from grantledger.domain.kinds import KINDS

_LOG = compiled(
    select(events.c.stream_id, events.c.version, events.c.tag, events.c.data)
    .where(events.c.realm == bindparam("realm"))
    .where(tuple_(events.c.stream_id, events.c.version) > tuple_(bindparam("stream"), bindparam("version")))
    .order_by(events.c.stream_id, events.c.version),
    "realm",
    "stream",
    "version",
)
_PAGE = f"{_LOG} LIMIT ?"
_EVENTS = compiled(select(func.count()).where(events.c.realm == bindparam("realm")), "realm")


def _live(table: Table) -> str:
    one = select(*table.c[2:]).where(table.c.realm == bindparam("realm"), table.c.key == bindparam("key"))
    return compiled(one, "realm", "key")


def _strays(table: Table) -> str:
    stream = events.c.stream_id == bindparam("prefix") + table.c.key
    known = exists().where(events.c.realm == table.c.realm, stream)
    strays = select(*table.c[1:]).where(~known, table.c.realm == bindparam("realm"))
    return compiled(strays, "prefix", "realm")


_LIVE = {category: _live(table) for category, table in ROWS.items()}
_STRAYS = {category: _strays(table) for category, table in ROWS.items()}


class Difference(NamedTuple):
    """A row that is not what the log says; None where one side has none."""

    category: str
    key: str
    replayed: Row | None
    live: Row | None

    def __str__(self) -> str:
        return f"{self.category} {self.key}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """What is wrong with the row."""
        if self.replayed is None:
            return "the row has no stream in the log"
        if self.live is None:
            return "the row is missing"
        if self.live.version != self.replayed.version:
            return f"the row is at version {self.live.version}, the log at {self.replayed.version}"
        if self.live.fold != self.replayed.fold:
            return f"the row is of fold {self.live.fold}, this release's is {self.replayed.fold}"
        told, held = _members(self.replayed), _members(self.live)
        where = ", ".join(name for name in told | held if told.get(name, ...) != held.get(name, ...))
        return f"the row does not hold what its events say{where and f': {where}'}"


def _members(of: Row) -> dict[str, Any]:
    """Return what the row holds by name, as far as it can be read."""
    columns = (column.name for column in ROWS[of.category].c[4:-1])
    try:
        state = msgspec.json.decode(of.state, type=dict[str, Any])
    except msgspec.MsgspecError:
        state = {"state": of.state}
    return dict(zip(columns, of.columns, strict=True)) | {f"state.{name}": at for name, at in state.items()}


class Page(NamedTuple):
    """How many events were read, and the rows of the streams that ended with them."""

    events: int
    rows: list[Row]


def _ignored(_: Page) -> None: ...


class Replay:
    """Folds the log stream by stream, in as much memory as a page of it takes, while others write."""

    def __init__(
        self, database: Database, mapper: TagMapper, *, realm: str = "main", page: int = 1_000
    ) -> None:
        self._database = database
        self._mapper = mapper
        self._realm = realm
        self._page = page

    def events(self) -> int:
        """Return how many events there are to replay now."""
        with closing(self._database.connect()) as connection:
            ((count,),) = connection.execute(_EVENTS, (self._realm,)).fetchall()
            return int(count)

    def rows(self) -> Iterator[Row]:
        """Yield every row that the log gives, in the order of the streams' ids."""
        with closing(self._database.connect()) as connection:
            for page in self._pages(connection.cursor()):
                yield from page.rows

    def differences(self, compared: Callable[[Page], None] = _ignored) -> Iterator[Difference]:
        """Yield each row that the replay and the live tables do not have in common.

        `compared` hears of each page when it was compared.
        """
        with closing(self._database.connect()) as connection:
            cursor = connection.cursor()
            for page in self._pages(cursor):
                for replayed in page.rows:
                    live = self._live_row(cursor, replayed)
                    if live != replayed:
                        yield Difference(replayed.category, replayed.key, replayed, live)
                compared(page)
            for category, statement in _STRAYS.items():
                for key, *values in cursor.execute(statement, (f"{category}:", self._realm)):
                    yield Difference(category, key, None, _row(category, key, values))

    def _pages(self, cursor: sqlite3.Cursor) -> Iterator[Page]:
        """Yield the streams that end in each page, while the database stands still as that page saw it."""
        last: tuple[str, int] = ("", 0)
        begun: Versioned[Any] | None = None
        more = True
        while more:
            cursor.execute("BEGIN")
            page = cursor.execute(_PAGE, (self._realm, *last, self._page)).fetchall()
            more = len(page) == self._page
            last = page[-1][:2] if page else last
            ended: list[Versioned[Any]] = []
            for stream_id, _, tag, data in page:
                category, _, key = stream_id.partition(":")
                if category not in KINDS:
                    continue
                if begun is None or (begun.kind.category, begun.key) != (category, key):
                    ended += [begun] if begun else []
                    begun = Versioned(kind=KINDS[category], key=key)
                begun = begun.evolved((self._mapper.event(tag, data),))
            ended += [begun] if begun and not more else []
            rows = [row(stream.kind, stream.key, stream.version, stream.state) for stream in ended]
            yield Page(len(page), rows)
            cursor.execute("ROLLBACK")

    def _live_row(self, cursor: sqlite3.Cursor, of: Row) -> Row | None:
        found = cursor.execute(_LIVE[of.category], (self._realm, of.key)).fetchall()
        return _row(of.category, of.key, found[0]) if found else None


def _row(category: str, key: str, values: Sequence[Any]) -> Row:
    version, fold, *columns, state = values
    return Row(category, key, version, fold, tuple(columns), state)
