"""Lists on SQLite: as believable as every other read, and never a walk through a whole table."""

import sqlite3
from contextlib import closing

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, rows_of
from grantledger.adapters.ledger import listings
from grantledger.adapters.ledger.schema import ROWS
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.application.ports import Unavailable
from grantledger.domain.token_grant import GRANT


async def test_a_row_that_another_release_folded_is_folded_again_for_the_list(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    rows_of(database, "UPDATE token_grant SET fold = 9, state = '{}'")
    assert (await ledger.grants()).items == (await ledger.load(GRANT, "grant"),)


async def test_a_stream_that_only_a_newer_release_can_judge_makes_the_list_unavailable(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    rows_of(database, "UPDATE token_grant SET fold = 9")
    rows_of(
        database,
        "INSERT INTO events (position, realm, stream_id, version, tag, data)"
        " VALUES (99, 'main', 'grant:grant', 2, 'something.new.v1', '{}')",
    )
    with pytest.raises(Unavailable, match=r"something\.new\.v1"):
        await ledger.grants()


@pytest.mark.parametrize("where", [(), ("client_id",), ("user_id",)])
@pytest.mark.parametrize("from_place", [False, True])
def test_a_page_of_grants_is_read_from_an_index_and_not_sorted(
    database: WatchedDatabase, where: tuple[str, ...], from_place: bool
):
    statement = listings.page_statement(GRANT.category, where, from_place=from_place)
    with closing(sqlite3.connect(database.path)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", ["x"] * statement.count("?")).fetchall()
    (step,) = [detail for *_, detail in plan]
    assert step.startswith("SEARCH token_grant USING COVERING INDEX")


def test_a_refresh_leaves_the_indexes_of_its_grant_alone():
    """SQLite writes an index again as soon as one of its columns is set, whatever to."""
    table = ROWS["grant"]
    indexed = {column.name for index in table.indexes for column in index.columns} - {"realm", "key"}
    assert indexed == {"client_id", "user_id", "opened_at"}
    assert all(table.c[name].info == {"fixed": True} for name in indexed)
