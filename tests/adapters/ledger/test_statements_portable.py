"""All SQL for PostgreSQL keeps to what Aurora, Citus, YugabyteDB and CockroachDB have too (docs/scale.md)."""

import asyncio
import io
import re
from collections.abc import Iterator
from functools import cache

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import asyncpg

from adapters.ledger import facts
from adapters.ledger.storage import WatchedPostgres, a_ledger
from adapters.ledger.test_sql import every_statement
from grantledger.adapters.ledger import migrations, postgresql
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.adapters.ledger.replay import Replay
from grantledger.adapters.ledger.schema import ROWS, metadata
from grantledger.adapters.ledger.sql import Statement, Statements
from grantledger.adapters.ledger.throttle_counts import LedgerThrottleCounts
from grantledger.adapters.throttles import ThrottleCount
from grantledger.domain.token_grant import GRANT

STORES = ("postgresql",)

LACKING = {
    "a sequence": r"\b(SMALL|BIG)?SERIAL\b|\bSEQUENCE\b|\bIDENTITY\b|\bnextval\b",
    "an advisory lock": r"advisory",
    "a lock of a table": r"\bLOCK TABLE\b|\bLOCK\s+\w+\s+IN\b",
    "LISTEN": r"^\s*(LISTEN|NOTIFY|UNLISTEN)\b|pg_notify",
    "a savepoint": r"\bSAVEPOINT\b",
    "a foreign key": r"\bREFERENCES\b|\bFOREIGN KEY\b",
    "an exclusion constraint": r"\bEXCLUDE\b",
    "a trigger or a rule": r"\bTRIGGER\b|\bCREATE (OR REPLACE )?RULE\b",
    "a stored function": r"\b(CREATE|CALL|DO)\b.*(\bFUNCTION\b|\bPROCEDURE\b|\$\$)",
    "a temporary table": r"\bTEMP(ORARY)?\b|\bUNLOGGED\b",
    "an extension or a type": r"\bCREATE (EXTENSION|TYPE|DOMAIN)\b",
    "a setting of a session": r"\bSET\s+(?!LOCAL\b)(SESSION\b|\w+\s*(=|TO)\s)(?=[^,]*$)|\bset_config\b",
    "an inner column of PostgreSQL": r"\b(ctid|xmin|xmax|tableoid)\b|pg_snapshot|txid_current",
    "a cursor that outlives its transaction": r"\bWITH HOLD\b",
    "MERGE": r"\bMERGE INTO\b",
    "a rare index": r"\bUSING (gin|gist|brin|hash|spgist)\b",
}
"""What one of those engines lacks, or has with another meaning."""


def lacking(text: str) -> list[str]:
    one_line = " ".join(text.split())
    if re.search(r"\bUPDATE\b", one_line):  # its SET is no setting
        one_line = re.sub(r"\bSET\s+(?!LOCAL)", "", one_line)
    return [what for what, pattern in LACKING.items() if re.search(pattern, one_line, re.IGNORECASE)]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT pg_advisory_xact_lock(1)",
        "LOCK TABLE events IN EXCLUSIVE MODE",
        "SELECT nextval('positions')",
        "CREATE TABLE t (id BIGSERIAL)",
        "CREATE TABLE t (a TEXT REFERENCES u (a))",
        "LISTEN events",
        "SAVEPOINT sa_1",
        "SET lock_timeout = 5000",
        "CREATE TEMP TABLE t (a TEXT)",
        "DO $$ BEGIN END $$",
        "SELECT xmin FROM events",
    ],
)
def test_the_rules_find_what_they_are_for(text: str):
    assert len(lacking(text)) == 1


def test_the_rules_let_pass_what_all_engines_have():
    for text in (
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = 5000; SELECT 1 FOR UPDATE",
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING a",
        "UPDATE heads SET position = $1 WHERE heads.realm = $2",
    ):
        assert lacking(text) == []


@cache
def hot_path() -> tuple[tuple[str, str], ...]:
    """Return every statement of requests and of the writer, with a name."""
    return tuple(_hot_path())


def _hot_path() -> Iterator[tuple[str, str]]:
    for name, made in every_statement(Statements(asyncpg.dialect())):
        yield name, made.text if isinstance(made, Statement) else made
    for categories in (*((category,) for category in ROWS), tuple(sorted(ROWS))):
        yield f"batch of {', '.join(categories)}", postgresql.batch_statement(categories).text


def test_no_statement_uses_what_a_distributed_engine_lacks():
    found = {name: lacking(text) for name, text in hot_path()}
    assert len(found) > 100
    assert {name: rules for name, rules in found.items() if rules} == {}


def without_realm(text: str) -> set[str]:
    """Return the tables of the statement whose rows it does not choose by their realm."""
    found = set()
    for table in metadata.tables:
        read = rf"(?:FROM|JOIN|UPDATE|DELETE FROM)\s+\(?{table}\b"
        if re.search(read, text) and not re.search(
            rf"\b{table}\.realm = |= {table}\.realm\b|\b{table}\.realm IN ", text
        ):
            found.add(table)
        for columns in re.findall(rf"INSERT INTO {table} \(([^)]*)\)", text):
            if not columns.startswith("realm"):
                found.add(table)
    return found


def test_every_statement_names_the_realm_of_every_table():
    """Fails for a join across realms, which a cluster would send to all its machines."""
    texts = {name: " ".join(text.replace('"', "").split()) for name, text in hot_path()}
    assert {name: found for name, text in texts.items() if (found := without_realm(text))} == {}


def test_a_statement_without_a_realm_is_found():
    joined = "SELECT * FROM code JOIN client ON code.client_id = client.key WHERE code.realm = $1"
    assert without_realm(joined) == {"client"}
    assert without_realm("DELETE FROM signin WHERE signin.ends_at <= $1") == {"signin"}


@pytest.fixture(scope="module")
def migration() -> str:
    """The SQL of all migrations, as `alembic upgrade --sql` prints it for PostgreSQL."""
    printed = io.StringIO()
    offline = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": printed}
    )
    oldest_first = reversed([*ScriptDirectory(migrations.__path__[0]).walk_revisions()])
    with Operations.context(offline):
        for revision in oldest_first:
            revision.module.upgrade()
    return printed.getvalue()


def test_no_migration_uses_what_a_distributed_engine_lacks(migration: str):
    statements = [text for text in migration.split(";") if text.strip()]
    assert len(statements) > len(metadata.tables)
    assert {text: rules for text in statements if (rules := lacking(text))} == {}


def test_every_key_and_index_begins_with_the_realm(migration: str):
    """A table can be distributed by the realm only if all that is unique contains it."""
    keys = re.findall(r"(?:PRIMARY KEY|UNIQUE) \(([^)]*)\)", migration)
    indexes = re.findall(r"CREATE (?:UNIQUE )?INDEX \w+ ON \w+ \(([^)]*)\)", migration)
    assert len(keys) >= len(metadata.tables)
    assert len(indexes) > 10
    assert [columns for columns in (*keys, *indexes) if not columns.startswith("realm")] == []


async def test_what_is_really_sent_keeps_the_rules(database: WatchedPostgres):
    """Fails for a statement that `hot_path` does not list, such as one of the replay or the rebuild."""
    sent = database.sent

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        sent.append(statement)

    ledger = a_ledger(database)
    await ledger.open()
    await ledger.record([facts.registered(), facts.opened_account(), facts.opened()], facts.OPERATOR)
    await ledger.record([facts.refreshed(await ledger.load(GRANT, "grant"))], facts.OPERATOR)
    counts = LedgerThrottleCounts(ledger, database, "main")
    await counts.merge([ThrottleCount("passwords", b"key", 2_000)], now=1_000)
    await counts.sweep(now=1_000, most=10)
    await asyncio.to_thread(lambda: list(Replay(database, now=lambda: 1_000).differences()))
    await asyncio.to_thread(lambda: list(Rebuild(database, now=1_000).steps()))
    await ledger.close()
    assert len(sent) > 50
    assert {text: rules for text in sent if (rules := lacking(text))} == {}
