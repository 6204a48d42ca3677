"""The read model folded anew beside the live one, while requests go on, and then put in its place."""

import fcntl
import os
import sqlite3
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.projection import row, state_of
from grantledger.adapters.ledger.rebuilt_tables import REBUILT, create, discard, swap
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.statements import compiled
from grantledger.domain.aggregate import Versioned
from grantledger.domain.kinds import KINDS

_REVISION = "SELECT version_num FROM alembic_version"
_HEAD = compiled(select(func.max(events.c.position)))
_AFTER = compiled(
    select(events.c.position, events.c.realm, events.c.stream_id, events.c.tag, events.c.data)
    .where(events.c.position > bindparam("position"))
    .order_by(events.c.position),
    "position",
)
_PAGE = f"{_AFTER} LIMIT ?"


class RebuildRunning(Exception):  # noqa: N818 - a sentence for the operator
    """Somebody else is rebuilding the same database."""


class MigratedMeanwhile(Exception):  # noqa: N818 - a sentence for the operator
    """What was rebuilt has the shape of the release before."""


class Step(NamedTuple):
    """How far a rebuild is: positions in the log, `head` where it ended when that was asked."""

    folded: int
    head: int


class Rebuild:
    """Of all realms of a database, since they share its tables.

    The rebuilt rows follow the log, page by page, in transactions of their own; the writers of every process
    write between them. What came last is folded, and the tables are swapped, in one transaction under the
    writers' lock: nothing that was recorded is missing, and no request ever meets half a read model.
    """

    def __init__(self, database: Database, mapper: TagMapper, *, page: int = 1_000) -> None:
        self._database = database
        self._mapper = mapper
        self._page = page

    def steps(self) -> Generator[Step]:
        """Rebuild and swap, telling after each page how far it is; when the last is told, it is done.

        Left before that, or killed, it has changed nothing; what it has left behind, the next one discards.
        Raises `RebuildRunning`, `MigratedMeanwhile`, and `EventUnreadable` for an event of a later release.
        """
        with self._alone():
            self._discard()
            try:
                create(self._database)
                yield from self._folding()
            finally:
                self._discard()

    def _folding(self) -> Generator[Step]:
        with closing(self._database.connect()) as connection:
            cursor = connection.cursor()
            revision = cursor.execute(_REVISION).fetchall()
            ((head,),) = cursor.execute(_HEAD).fetchall()
            folded = 0
            while True:
                lines = cursor.execute(_PAGE, (folded, self._page)).fetchall()
                if len(lines) < self._page:
                    break
                rows = self._rows(cursor, lines)
                with self._database.writing() as writing:
                    _write(writing, rows)
                folded = lines[-1][0]
                yield Step(folded, max(folded, head or 0))
        with self._database.writing() as writing:
            while lines := writing.execute(_PAGE, (folded, self._page)).fetchall():
                _write(writing, self._rows(writing, lines))
                folded = lines[-1][0]
            if writing.execute(_REVISION).fetchall() != revision:
                raise MigratedMeanwhile(f"{self._database.path} was migrated meanwhile: rebuild it again")
            swap(writing)
        yield Step(folded, folded)

    def _rows(self, cursor: sqlite3.Cursor, lines: Sequence[Any]) -> dict[str, list[tuple[Any, ...]]]:
        """Return, by category, the rows as they are after these lines of the log."""
        streams: dict[tuple[str, str], Versioned[Any]] = {}
        for _, realm, stream_id, tag, data in lines:
            category, _, key = stream_id.partition(":")
            if category not in KINDS:
                continue
            before = streams.get((realm, stream_id)) or _rebuilt(cursor, realm, category, key)
            streams[realm, stream_id] = before.evolved((self._mapper.event(tag, data),))
        rows: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for (realm, _), now in streams.items():
            new = row(now.kind, now.key, now.version, now.state)
            rows[new.category].append((realm, new.key, new.version, new.fold, *new.columns, new.state))
        return rows

    def _discard(self) -> None:
        discard(self._database, page=self._page)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(f"{self._database.path}.rebuild.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RebuildRunning(f"{self._database.path} is being rebuilt already") from None
            yield
        finally:
            os.close(lock)


def _rebuilt(cursor: sqlite3.Cursor, realm: str, category: str, key: str) -> Versioned[Any]:
    kind = KINDS[category]
    found = cursor.execute(REBUILT[category].select, (realm, key)).fetchall()
    if not found:
        return Versioned(kind=kind, key=key)
    ((version, _, state),) = found
    return Versioned(kind=kind, key=key, version=version, state=state_of(category, state))


def _write(cursor: sqlite3.Cursor, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    for category, values in rows.items():
        cursor.executemany(REBUILT[category].put, values)
