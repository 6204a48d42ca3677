"""Private records: sealed in the file, and found after the master secret was rotated."""

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import ReversingSealer, WatchedDatabase, WatchedSqlite, a_ledger, only_sqlite
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.application.ports import Conflict, PrivateRecord


def an_email(subject: str, address: str = "ada@example.com") -> PrivateRecord:
    return PrivateRecord(subject=subject, name="email", value=address, lookup=address)


@only_sqlite
async def test_a_private_value_is_not_in_the_file(ledger: EventLedger, database: WatchedSqlite):
    await ledger.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
    await ledger.close()
    assert b"ada@example.com" not in database.path.read_bytes()


async def test_a_record_is_found_and_unsealed_after_a_rotation(database: WatchedDatabase):
    before = a_ledger(database, sealer=ReversingSealer("old"))
    await before.open()
    await before.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
    await before.close()
    after = a_ledger(database, sealer=ReversingSealer("new", "old"))
    await after.open()
    assert await after.find("email", "ada@example.com") == "glu_ada"
    assert await after.value("glu_ada", "email") == "ada@example.com"
    await after.close()


async def test_a_lookup_stays_unique_after_a_rotation(database: WatchedDatabase):
    before = a_ledger(database, sealer=ReversingSealer("old"))
    await before.open()
    await before.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
    await before.close()
    after = a_ledger(database, sealer=ReversingSealer("new", "old"))
    await after.open()
    with pytest.raises(Conflict):
        await after.record([facts.opened_account("glu_bob")], facts.OPERATOR, [an_email("glu_bob")])
    await after.close()
