"""Between events and the bytes that are kept of them."""

from typing import Any

import msgspec
import pytest
from eventsourcing.persistence import MapperDeserialisationError, StoredEvent
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from grantledger.adapters.ledger.mapper import Entry, TagMapper, UnknownTag
from grantledger.domain.kinds import EVENTS
from grantledger.domain.user_account import AccountOpened
from support import history

SCALARS: dict[Any, st.SearchStrategy[Any]] = {int: st.integers(0, 2**53), str: st.text(max_size=30)}


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
        state=b'{"type":"user.opened.v1","user_id":"glu_ada","opened_at":1000}',
    )


def test_an_unknown_tag_is_an_error_of_its_own():
    with pytest.raises(UnknownTag, match=r"user\.promoted\.v1"):
        TagMapper().event("user.promoted.v1", b'{"type":"user.promoted.v1"}')


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"type":"user.disabled.v1"}', b'{"type":"user.opened.v1"}']
)
def test_bytes_that_do_not_fit_their_tag_are_refused(data: bytes):
    with pytest.raises(MapperDeserialisationError):
        TagMapper().event("user.opened.v1", data)


def test_a_member_that_a_later_release_added_is_no_obstacle():
    data = b'{"type":"user.opened.v1","user_id":"glu_ada","opened_at":1,"invited_by":"glu_bob"}'
    assert TagMapper().event("user.opened.v1", data) == AccountOpened(user_id="glu_ada", opened_at=1)


class Upgraded(Struct, frozen=True, kw_only=True, tag="thing.happened.v3"):
    seconds: int


UPGRADES = {
    "thing.happened.v1": lambda old: {"type": "thing.happened.v2", "minutes": old["hours"] * 60},
    "thing.happened.v2": lambda old: {"type": "thing.happened.v3", "seconds": old["minutes"] * 60},
}


@pytest.mark.parametrize(
    ("tag", "data"),
    [
        ("thing.happened.v1", b'{"type":"thing.happened.v1","hours":2}'),
        ("thing.happened.v2", b'{"type":"thing.happened.v2","minutes":120}'),
        ("thing.happened.v3", b'{"type":"thing.happened.v3","seconds":7200}'),
    ],
)
def test_an_old_tag_is_read_as_its_successors_successor(tag: str, data: bytes):
    mapper = TagMapper({"thing.happened.v3": Upgraded}, UPGRADES)
    assert mapper.event(tag, data) == Upgraded(seconds=7200)


def test_an_upcast_into_an_unknown_tag_is_refused():
    mapper = TagMapper({}, UPGRADES)
    with pytest.raises(UnknownTag, match=r"thing\.happened\.v3"):
        mapper.event("thing.happened.v1", b'{"type":"thing.happened.v1","hours":2}')
