"""Promise 11, checked in the log: decisions that were recorded although an earlier event forbids them."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from grantledger.adapters.ledger.events import EventCodec
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import CodeIssued
from grantledger.domain.client_registration import ClientRegistered
from grantledger.domain.consent import consent_key
from grantledger.domain.kinds import KINDS
from grantledger.domain.token_grant import GrantOpened, GrantRefreshed
from support.stores import Ledger, asked


def overtaken(ledger: Ledger) -> list[str]:
    """Name each code and grant that was recorded after an event that forbids it.

    Positions are in commit order, so each event is judged by the events before it.
    """
    lines = asked(ledger, "SELECT realm, stream_id, tag, data FROM events ORDER BY realm, position")
    codec, realms = EventCodec(), {realm: _Streams() for realm, *_ in lines}
    found = []
    for realm, stream_id, tag, data in lines:
        if stream_id.partition(":")[0] in KINDS:
            event = codec.decode(tag, data)
            found += [f"{stream_id}: {tag} though {why}" for why in realms[realm].against(stream_id, event)]
            realms[realm].add(stream_id, event)
    return found


class _Streams:
    """The streams of one realm, folded up to the event that is judged."""

    def __init__(self) -> None:
        self._streams: dict[str, Versioned[Any]] = {}

    def add(self, stream_id: str, event: Struct) -> None:
        category, _, key = stream_id.partition(":")
        before = self._streams.get(stream_id) or Versioned(kind=KINDS[category], key=key)
        self._streams[stream_id] = before.evolved((event,))

    def against(self, stream_id: str, event: Struct) -> Iterator[str]:
        """Yield the reasons in the earlier events why this one must not be recorded."""
        match event:
            case ClientRegistered():
                client = self._state(*stream_id.split(":", 1))
                if client is not None and not client.deleted:
                    yield "the client is registered already"
            case GrantOpened():
                yield from self._parties(event.client_id, event.user_id)
                if not self._state("consent", consent_key(event.user_id, event.client_id)).allowed:
                    yield "the consent is withdrawn"
            case GrantRefreshed():
                grant = self._state(*stream_id.split(":", 1))
                yield from self._parties(grant.client_id, grant.user_id)
            case CodeIssued():
                yield from self._parties(event.client_id, event.user_id)
                session = self._state("signin", event.session_id)
                if session is None:  # a host's
                    return
                if session.signed_out:
                    yield "the session is signed out"
                if session.session_epoch != self._state("user", event.user_id).session_epoch:
                    yield "all sessions were ended"

    def _parties(self, client_id: str, user_id: str) -> Iterator[str]:
        client = self._state("client", client_id)
        if client.disabled or client.deleted:
            yield "the client is disabled"
        if self._state("user", user_id).disabled:
            yield "the user is disabled"

    def _state(self, category: str, key: str) -> Any:
        stream = self._streams.get(f"{category}:{key}")
        return stream.state if stream else None
