"""Stored events: their bytes, their tags, their envelopes."""

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from adapters.ledger import facts
from adapters.ledger.storage import NOW, WatchedSqlite, a_ledger, digest_of_address, rows_of
from grantledger.adapters.ledger.events import EventCodec, EventUnreadable, UnknownTag, uuid7
from grantledger.adapters.ledger.recorder import Entry, TagMapper
from grantledger.adapters.ledger.schema import events
from grantledger.application.provenance import Caller, Provenance
from grantledger.domain.kinds import EVENTS
from grantledger.domain.user_account import AccountOpened
from support import codes, history

STORES = ("sqlite",)

CALLER = Caller(correlation_id="request", trace_id="trace", address="203.0.113.7")
BY = Provenance(actor_kind="user", actor_id="glu_ada", caller=CALLER)
NAMES = [column.name for column in events.c]


async def recorded(database: WatchedSqlite, by: Provenance = BY) -> list[dict[str, Any]]:
    ledger = a_ledger(database)
    await ledger.open()
    await ledger.record([facts.issued(), facts.opened()], by)
    await ledger.close()
    found = rows_of(database, f"SELECT {', '.join(NAMES)} FROM events ORDER BY position")
    return [dict(zip(NAMES, values, strict=True)) for values in found]


async def test_an_event_is_kept_with_who_caused_it_when_and_from_where(database: WatchedSqlite):
    first, _ = await recorded(database)
    assert first == {
        "position": 1,
        "realm": "main",
        "stream_id": "code:code",
        "version": 1,
        "tag": "authorization_code.issued.v1",
        "event_id": first["event_id"],
        "append_id": first["append_id"],
        "recorded_at": NOW,
        "actor_kind": "user",
        "actor_id": "glu_ada",
        "client_id": "glc_editor",
        "user_id": "glu_ada",
        "correlation_id": "request",
        "trace_id": "trace",
        "address_digest": digest_of_address("203.0.113.7"),
        "data": first["data"],
    }


async def test_the_events_of_one_append_share_its_id(database: WatchedSqlite):
    first, second = await recorded(database)
    assert second["append_id"] == first["append_id"]
    assert second["event_id"] != first["event_id"]


async def test_the_callers_address_is_nowhere_in_the_file(database: WatchedSqlite):
    await recorded(database)
    assert b"203.0.113.7" not in database.path.read_bytes()


async def test_what_is_unknown_is_empty_and_never_null(database: WatchedSqlite):
    by = Provenance(actor_kind="system", actor_id=None, caller=Caller(correlation_id="request"))
    first, _ = await recorded(database, by)
    assert (first["actor_id"], first["trace_id"], first["address_digest"]) == ("", "", b"")


@given(st.integers(0, 2**48 * 1000 - 1), st.integers(0, 2**62 - 1))
def test_an_id_is_a_uuid_of_version_7_that_begins_with_its_time(microseconds: int, random: int):
    made = UUID(bytes=uuid7(microseconds, random))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == microseconds // 1000


@given(st.lists(st.integers(0, 2**48 * 1000 - 1), unique=True, min_size=2), st.integers(0, 2**62 - 1))
def test_ids_of_different_microseconds_sort_by_time(times: list[int], random: int):
    assert sorted(times) == sorted(times, key=lambda time: uuid7(time, random)[:8])


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(0, 2**53),
    str: st.text(max_size=30),
}


def values(of: Any) -> st.SearchStrategy[Any]:
    if isinstance(of, type) and issubclass(of, Struct):
        return structs(of)
    if getattr(of, "__origin__", None) is tuple:
        return st.lists(values(of.__args__[0]), max_size=3).map(tuple)
    if hasattr(of, "__args__"):  # a union with None
        return st.one_of([st.none() if part is type(None) else values(part) for part in of.__args__])
    return SCALARS[of]


def structs(cls: type[Struct]) -> st.SearchStrategy[Struct]:
    return st.builds(cls, **{field.name: values(field.type) for field in msgspec.structs.fields(cls)})


@given(st.sampled_from(list(EVENTS.values())).flatmap(structs), st.text(), st.integers(1))
def test_what_is_stored_is_read_back(event: Struct, stream_id: str, version: int):
    entry = Entry(stream_id, version, event)
    mapper = TagMapper()
    assert mapper.to_domain_event(mapper.to_stored_event(entry)) == entry


def test_the_topic_is_the_tag():
    stored = TagMapper().to_stored_event(Entry("user:glu_ada", 1, history.example("user.opened.v1")))
    assert stored == StoredEvent(
        originator_id="user:glu_ada",
        originator_version=1,
        topic="user.opened.v1",
        state=b'["glu_ada",1000]',
    )


def test_an_unknown_tag_is_an_error_of_its_own():
    with pytest.raises(UnknownTag, match=r"user\.promoted\.v1"):
        EventCodec().decode("user.promoted.v1", b"[1]")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"type":"user.disabled.v1"}', b'{"type":"user.opened.v1"}']
)
def test_bytes_that_do_not_fit_their_tag_are_refused(data: bytes):
    with pytest.raises(EventUnreadable):
        EventCodec().decode("user.opened.v1", data)


def test_a_field_that_a_later_release_added_is_no_obstacle():
    data = b'["glu_ada",1,"glu_bob"]'
    assert EventCodec().decode("user.opened.v1", data) == AccountOpened(user_id="glu_ada", opened_at=1)


GOLDEN = Path(__file__).parents[2] / "golden" / "events"


# An event that gets a new field at its end keeps its tag and its golden file, and gets a second one.
SHAPES = {tag: (tag, history.example(tag)) for tag in EVENTS} | {
    "authorization_code.issued.v1+id_token": ("authorization_code.issued.v1", codes.ISSUED_FOR_ID_TOKEN),
    "token_grant.refreshed.v1+network": ("token_grant.refreshed.v1", history.REFRESHED_ELSEWHERE),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_stored_bytes_still_decode_to_the_event(shape: str):
    tag, event = SHAPES[shape]
    assert EventCodec().decode(tag, (GOLDEN / f"{shape}.json").read_bytes()) == event


@pytest.mark.parametrize("shape", SHAPES)
def test_the_event_is_still_stored_as_the_same_bytes(shape: str):
    tag, event = SHAPES[shape]
    assert EventCodec().encode(event) == (tag, (GOLDEN / f"{shape}.json").read_bytes())


def test_every_tag_has_its_golden_file_and_every_file_its_tag():
    assert {path.name for path in GOLDEN.iterdir()} == {f"{shape}.json" for shape in SHAPES}
