"""Between events and the bytes that are kept of them: msgspec's JSON, found by tag."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, MapperDeserialisationError, StoredEvent
from msgspec import Struct

from grantledger.domain.kinds import EVENTS, tag_of

CODEC = 1
"""How the bytes are made: 1 is the JSON object of the tagged Struct. Kept with each event."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""From the JSON object of one tag to that of its successor, whose `type` it carries."""

UPCASTERS: Mapping[str, Upcaster] = {}
"""By the tag that was replaced. Applied whenever stored bytes are read; the bytes stay as they are."""


class EventUnreadable(MapperDeserialisationError):  # noqa: N818 - the fact that was wrong
    """What the event means cannot be said by this release. Its stream cannot be judged here."""


class UnknownTag(EventUnreadable):
    """Written by a release that knows more than this one."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"an event of tag {tag}, which only another release knows")


class Entry(Struct, frozen=True):
    """One event in its place; by shape the library's `DomainEventProtocol`."""

    originator_id: str
    originator_version: int
    event: Struct


class TagMapper(Mapper[str]):
    """Topics are tags of a closed set of events: no row can name a class to import."""

    def __init__(
        self,
        events: Mapping[str, type[Struct]] = EVENTS,
        upcasters: Mapping[str, Upcaster] = UPCASTERS,
    ) -> None:
        self._decoders = {tag: msgspec.json.Decoder(event) for tag, event in events.items()}
        self._events = events
        self._upcasters = upcasters
        self._encode = msgspec.json.Encoder().encode

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        assert isinstance(domain_event, Entry)
        return self.stored(domain_event.originator_id, domain_event.originator_version, domain_event.event)

    def stored(self, stream_id: str, version: int, event: Struct) -> StoredEvent:
        """Return the event as it is kept."""
        return StoredEvent(stream_id, version, tag_of(event), self._encode(event))

    def to_domain_event(self, stored_event: StoredEvent) -> Entry:
        event = self.event(stored_event.topic, stored_event.state)
        return Entry(str(stored_event.originator_id), stored_event.originator_version, event)

    def event(self, tag: str, data: bytes) -> Struct:
        """Return what the bytes say, in the words of the newest tag.

        Raises `UnknownTag`, and `EventUnreadable` for bytes that do not fit their tag.
        """
        try:
            if tag in self._upcasters:
                return self._upcast(tag, msgspec.json.decode(data))
            decoder = self._decoders.get(tag)
            if decoder is None:
                raise UnknownTag(tag)
            return decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise EventUnreadable(f"an event of tag {tag} cannot be read: {error}") from error

    def _upcast(self, tag: str, raw: dict[str, Any]) -> Struct:
        while upcaster := self._upcasters.get(tag):
            raw = upcaster(raw)
            tag = raw["type"]
        if tag not in self._events:
            raise UnknownTag(tag)
        return msgspec.convert(raw, self._events[tag])
