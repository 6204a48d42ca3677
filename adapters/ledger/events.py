"""Events as the log stores them: tag, bytes and envelope."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from grantledger.domain.kinds import EVENTS, tag_of


class EventUnreadable(Exception):  # noqa: N818 - named for the fact
    """The event cannot be decoded by this release, so its stream cannot be used for decisions."""


class UnknownTag(EventUnreadable):
    """A later release wrote the event."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"an event of tag {tag}, which only another release knows")


class EventCodec:
    """Converts events to their stored bytes and back: a JSON array of the fields in their order (ADR 0050).

    The set of events is closed, so that no row can name a class to import.
    """

    def __init__(self, events: Mapping[str, type[Struct]] = EVENTS) -> None:
        self._decoders = {tag: msgspec.json.Decoder(event) for tag, event in events.items()}
        self._tags = {event: tag_of(event) for event in events.values()}
        # msgspec writes the tag first. It has a column of its own, so the bytes leave it out.
        self._starts = {tag: f'["{tag}",'.encode() for tag in events}
        self._encode = msgspec.json.Encoder().encode

    def encode(self, event: Struct) -> tuple[str, bytes]:
        """Return tag and bytes."""
        tag = self._tags[type(event)]
        return tag, b"[" + self._encode(event)[len(self._starts[tag]) :]

    def decode(self, tag: str, data: bytes) -> Struct:
        """Raises `UnknownTag`, and `EventUnreadable` for bytes that do not fit their tag."""
        decoder = self._decoders.get(tag)
        if decoder is None:
            raise UnknownTag(tag)
        try:
            return decoder.decode(self._starts[tag] + data[1:])
        except msgspec.MsgspecError as error:
            raise EventUnreadable(f"an event of tag {tag} cannot be read: {error}") from error


class Parties(NamedTuple):
    """The client and the user that a stream belongs to. An id is empty if there is none."""

    client_id: str = ""
    user_id: str = ""


class Envelope(NamedTuple):
    """What is stored next to each event of one append. Unknown values are empty, never null."""

    append_id: bytes
    actor_kind: str
    actor_id: str
    correlation_id: str
    trace_id: str
    address_digest: bytes


class Appended(NamedTuple):
    """One event of an append. Only its position and time are still missing; the writer adds them."""

    stream_id: str
    version: int
    tag: str
    event_id: bytes
    parties: Parties
    data: bytes

    def row(self, realm: str, position: int, recorded_at: int, envelope: Envelope) -> tuple[Any, ...]:
        """Return the columns of `events` in their order.

        `recorded_at`: microseconds since 1970, UTC, taken inside the write lock. It says nothing about order:
        positions do.
        """
        return (
            realm,
            position,
            self.stream_id,
            self.version,
            self.tag,
            self.event_id,
            envelope.append_id,
            recorded_at,
            envelope.actor_kind,
            envelope.actor_id,
            *self.parties,
            envelope.correlation_id,
            envelope.trace_id,
            envelope.address_digest,
            self.data,
        )


def uuid7(microseconds: int, random: int) -> bytes:
    """Return a UUIDv7 (RFC 9562 section 5.7): 60 bits of time and 62 random ones."""
    milliseconds, rest = divmod(microseconds, 1000)
    fraction = rest * 4096 // 1000
    return (milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random).to_bytes(16, "big")
