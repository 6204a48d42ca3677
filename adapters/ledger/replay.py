"""A replay of the log alone, to compare its result with the live read model."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import structs
from sqlalchemy import Connection, Table, exists, func, literal, select, tuple_

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.events import EventCodec
from grantledger.adapters.ledger.read_model import RETENTION, Retention, Row, row_of, state_of
from grantledger.adapters.ledger.schema import ROWS, events
from grantledger.domain.aggregate import Versioned
from grantledger.domain.kinds import KINDS


class Difference(NamedTuple):
    """A row that differs between the replay and the read model. A side without the row is None."""

    category: str
    key: str
    replayed: Row | None
    live: Row | None

    def __str__(self) -> str:
        return f"{self.category} {self.key}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """What is wrong with the live row."""
        if self.replayed is None:
            return "the row has no stream in the log"
        if self.live is None:
            return "the row is missing"
        if self.live.version != self.replayed.version:
            return f"the row is at version {self.live.version}, the log at {self.replayed.version}"
        if self.live.fold != self.replayed.fold:
            return f"the row is of fold {self.live.fold}, this release's is {self.replayed.fold}"
        said, held = _members(self.replayed), _members(self.live)
        where = ", ".join(name for name in said | held if said.get(name, ...) != held.get(name, ...))
        return f"the row does not hold what its events say{where and f': {where}'}"


def _members(of: Row) -> dict[str, Any]:
    """Return the columns of the row and the fields of its state, by name, if they can be decoded."""
    columns = (column.name for column in ROWS[of.category].c[4:-1])
    try:
        state = structs.asdict(state_of(of.category, of.state))
    except msgspec.MsgspecError:
        state = {"state": of.state}
    return dict(zip(columns, of.columns, strict=True)) | {f"state.{name}": at for name, at in state.items()}


class ReplayedPage(NamedTuple):
    """The number of events that were read, and the rows of the streams whose last event is among them."""

    events: int
    rows: list[tuple[Row, Versioned[Any]]]


class Replay:
    """Folds the log stream by stream, with one page of events in memory, while servers write."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], int],
        realm: str = "main",
        retention: Retention = RETENTION,
        page: int = 1_000,
    ) -> None:
        self._database = database
        self._codec = EventCodec()
        self._now = now
        self._realm = realm
        self._retention = retention
        self._page = page

    def events(self) -> int:
        """Return how many events there are to replay now."""
        with self._database.engine.connect() as connection:
            statement = select(func.count()).select_from(events).where(events.c.realm == self._realm)
            return connection.execute(statement).scalar_one()

    def rows(self) -> Iterator[Row]:
        """Yield the row of every stream, in the order of the stream ids."""
        for _, page in self._pages():
            yield from (row for row, _ in page.rows)

    def differences(self, compared: Callable[[ReplayedPage], None] = lambda _: None) -> Iterator[Difference]:
        """Yield each row that differs between the replay and the live tables.

        Rows that can never be used again may be deleted at any time, and are not compared. `compared` is
        called with each page after its comparison.
        """
        for connection, page in self._pages():
            yield from self._differences(connection, page)
            compared(page)
        with self._database.engine.connect() as connection:
            for category, table in ROWS.items():
                stream = literal(f"{category}:") + table.c.key
                known = exists().where(events.c.realm == table.c.realm, events.c.stream_id == stream)
                for live in connection.execute(
                    select(*table.c[1:]).where(~known, table.c.realm == self._realm)
                ):
                    row = _row(category, live)
                    yield Difference(category, row.key, None, row)

    def _differences(self, connection: Connection, page: ReplayedPage) -> Iterator[Difference]:
        live = {
            (category, row.key): row
            for category, table in ROWS.items()
            for row in self._live(connection, category, table, page)
        }
        for row, stream in page.rows:
            held = live.get((row.category, row.key))
            # Checked again: since the page was read, the stream may have ended and its row been deleted.
            if held != row and not (held is None and self._is_over(stream)):
                yield Difference(row.category, row.key, row, held)

    def _live(self, connection: Connection, category: str, table: Table, page: ReplayedPage) -> list[Row]:
        keys = [row.key for row, _ in page.rows if row.category == category]
        if not keys:
            return []
        statement = select(*table.c[1:]).where(table.c.realm == self._realm, table.c.key.in_(keys))
        return [_row(category, live) for live in connection.execute(statement)]

    def _is_over(self, stream: Versioned[Any]) -> bool:
        return self._retention.is_over(stream.kind.category, stream.state, now=self._now())

    def _pages(self) -> Iterator[tuple[Connection, ReplayedPage]]:
        """Yield the streams that end in each page, with a connection that reads from the same snapshot."""
        last: tuple[str, int] = ("", 0)
        open_stream: Versioned[Any] | None = None
        more = True
        while more:
            with self._database.reading() as connection:
                page = self._read(connection, last)
                more = len(page) == self._page
                last = tuple(page[-1][:2]) if page else last
                ended: list[Versioned[Any]] = []
                for stream_id, _, tag, data in page:
                    category, _, key = stream_id.partition(":")
                    if category not in KINDS:
                        continue
                    if open_stream is None or (open_stream.kind.category, open_stream.key) != (category, key):
                        ended += [open_stream] if open_stream else []
                        open_stream = Versioned(kind=KINDS[category], key=key)
                    open_stream = open_stream.evolved((self._codec.decode(tag, data),))
                ended += [open_stream] if open_stream and not more else []
                rows = [
                    (row_of(stream.kind, stream.key, stream.version, stream.state), stream)
                    for stream in ended
                    if not self._is_over(stream)
                ]
                yield connection, ReplayedPage(len(page), rows)

    def _read(self, connection: Connection, last: tuple[str, int]) -> Sequence[Any]:
        stream = tuple_(events.c.stream_id, events.c.version)
        statement = (
            select(events.c.stream_id, events.c.version, events.c.tag, events.c.data)
            .where(events.c.realm == self._realm, stream > tuple_(*map(literal, last)))
            .order_by(events.c.stream_id, events.c.version)
            .limit(self._page)
        )
        return connection.execute(statement).all()


def _row(category: str, values: Sequence[Any]) -> Row:
    key, version, fold, *columns, state = values
    return Row(category, key, version, fold, tuple(columns), bytes(state))
