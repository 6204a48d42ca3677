"""A ledger of the first schema gets its lists without a word of its history being touched."""

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.migrations.versions import v0001_log_rows_and_vault
from grantledger.adapters.ledger.projection import row
from grantledger.adapters.ledger.replay import Replay
from grantledger.domain.aggregate import Versioned
from grantledger.domain.kinds import KINDS
from support import history

_COLUMNS = {
    "grant": ("token_grant", {"client_id": "glc_editor", "user_id": "glu_ada"}),
    "client": ("client", {}),
    "user": ("user_account", {}),
}


def a_ledger_of_the_first_schema(path: Path) -> Database:
    database = Database(path)
    database.create()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            v0001_log_rows_and_vault.upgrade()
        context.stamp(ScriptDirectory(migrations.__path__[0]), "0001")
    with closing(sqlite3.connect(path)) as file, file:
        position = 0
        for category, (table, columns) in _COLUMNS.items():
            kind = KINDS[category]
            events = history.every_event(category)
            for version, event in enumerate(events, 1):
                position += 1
                stored = TagMapper().stored(kind.stream_id("key"), version, event)
                file.execute(
                    "INSERT INTO events (position, realm, stream_id, version, tag, data)"
                    " VALUES (?, 'main', ?, ?, ?, ?)",
                    (position, stored.originator_id, version, stored.topic, stored.state),
                )
            state = Versioned(kind=kind, key="key").evolved(events).state
            folded = row(kind, "key", len(events), state)
            values = {"realm": "main", "key": "key", "version": folded.version, "fold": folded.fold}
            values |= {**columns, "state": folded.state}
            marks = ", ".join("?" * len(values))
            file.execute(
                f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
            )
    return database


def test_every_row_is_then_what_a_replay_of_the_log_gives(tmp_path: Path):
    database = a_ledger_of_the_first_schema(tmp_path / "ledger.db")
    with closing(sqlite3.connect(database.path)) as connection:
        before = connection.execute("SELECT * FROM events").fetchall()
    migrations.migrate(database)
    assert list(Replay(database, TagMapper()).differences()) == []
    with closing(sqlite3.connect(database.path)) as connection:
        assert connection.execute("SELECT * FROM events").fetchall() == before
        assert connection.execute("SELECT registered_at FROM client").fetchall() == [(1_000,)]
