"""What stands beside each event."""

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from adapters.ledger import facts
from adapters.ledger.storage import NOW, WatchedDatabase, a_ledger, digest_of_address, rows_of
from grantledger.adapters.ledger.mapper import CODEC
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.uuid7 import uuid7
from grantledger.application.provenance import Caller, Provenance

CALLER = Caller(correlation_id="request", trace_id="trace", address="203.0.113.7")
BY = Provenance(actor_kind="user", actor_id="glu_ada", client_id="glc_editor", caller=CALLER)
NAMES = [column.name for column in events.c]


async def recorded(database: WatchedDatabase, by: Provenance = BY) -> list[dict[str, Any]]:
    ledger = a_ledger(database)
    await ledger.open()
    await ledger.record([facts.issued(), facts.opened()], by)
    await ledger.close()
    found = rows_of(database, f"SELECT {', '.join(NAMES)} FROM events ORDER BY position")
    return [dict(zip(NAMES, values, strict=True)) for values in found]


async def test_an_event_is_kept_with_who_caused_it_when_and_from_where(database: WatchedDatabase):
    first, _ = await recorded(database)
    assert first == {
        "position": 1,
        "realm": "main",
        "category": "code",
        "stream_id": "code:code",
        "version": 1,
        "tag": "authorization_code.issued.v1",
        "event_id": uuid7(NOW, 2),
        "append_id": uuid7(NOW, 1),
        "causation_id": None,
        "recorded_at": NOW,
        "actor_kind": "user",
        "actor_id": "glu_ada",
        "client_id": "glc_editor",
        "correlation_id": "request",
        "trace_id": "trace",
        "address_digest": digest_of_address("203.0.113.7"),
        "codec": CODEC,
        "data": first["data"],
    }


async def test_the_first_event_of_an_append_is_the_cause_of_the_others(database: WatchedDatabase):
    first, second = await recorded(database)
    assert (second["causation_id"], second["append_id"]) == (first["event_id"], first["append_id"])
    assert second["event_id"] == uuid7(NOW, 3)


async def test_the_callers_address_is_nowhere_in_the_file(database: WatchedDatabase):
    await recorded(database)
    assert b"203.0.113.7" not in database.path.read_bytes()


async def test_an_unknown_address_has_no_digest(database: WatchedDatabase):
    by = Provenance(actor_kind="system", actor_id=None, caller=Caller(correlation_id="request"))
    first, _ = await recorded(database, by)
    assert first["address_digest"] is None


@given(st.integers(0, 2**48 * 1000 - 1), st.integers(0, 2**62 - 1))
def test_an_id_is_a_uuid_of_version_7_that_begins_with_its_time(microseconds: int, random: int):
    made = UUID(bytes=uuid7(microseconds, random))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == microseconds // 1000


@given(st.lists(st.integers(0, 2**48 * 1000 - 1), unique=True, min_size=2), st.integers(0, 2**62 - 1))
def test_ids_of_different_microseconds_sort_by_time(times: list[int], random: int):
    assert sorted(times) == sorted(times, key=lambda time: uuid7(time, random)[:8])
