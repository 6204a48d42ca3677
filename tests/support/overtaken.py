"""Promise 11, checked in the log: decisions that were recorded although an earlier event forbids them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct

from grantledger.adapters.ledger.events import EventCodec
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import CodeIssued, CodeRedeemed
from grantledger.domain.authorization_code import evolve as code_after
from grantledger.domain.browser_session import SignedIn
from grantledger.domain.client_registration import ClientDeleted
from grantledger.domain.consent import ConsentGiven, consent_key
from grantledger.domain.kinds import KINDS, tag_of
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import (
    AccessTokenSigned,
    GrantOpened,
    GrantRefreshed,
    GrantRevoked,
    RefreshRetriedElsewhere,
    RefreshTokenReused,
)
from grantledger.domain.user_account import PasswordChanged, PasswordErased, SessionsEnded
from support.own_rules import is_decided
from support.stores import Ledger, asked

_LOG = (
    "SELECT realm, append_id, stream_id, version, tag, data, actor_kind FROM events ORDER BY realm, position"
)

_TOGETHER: dict[type[Struct], type[Struct]] = {
    CodeRedeemed: GrantOpened,
    RefreshTokenReused: GrantRevoked,
    PasswordChanged: SessionsEnded,
    PasswordErased: SessionsEnded,
}
"""Events that are recorded only with another one, in one append."""


class Line(Struct, frozen=True, kw_only=True):
    """One event of the log."""

    realm: str = "main"
    append_id: bytes
    stream_id: str
    version: int
    event: Struct
    actor_kind: str = "client"


def overtaken(ledger: Ledger) -> list[str]:
    """Return what is wrong with the log of the ledger, see `wrong`."""
    codec = EventCodec()
    return wrong(
        Line(
            realm=realm,
            append_id=bytes(append_id),
            stream_id=stream_id,
            version=version,
            event=codec.decode(tag, data),
            actor_kind=actor,
        )
        for realm, append_id, stream_id, version, tag, data, actor in asked(ledger, _LOG)
        if stream_id.partition(":")[0] in KINDS
    )


def wrong(lines: Iterable[Line]) -> list[str]:
    """Name each event that no decision records after the events before it, and each append that is not whole.

    The lines are in commit order, so each event is judged by the events before it.
    """
    found: list[str] = []
    for _, of_realm in groupby(lines, key=lambda line: line.realm):
        log = _Log()
        for _, appended in groupby(of_realm, key=lambda line: line.append_id):
            found += log.against(list(appended))
    return found


class _Log:
    """The events of one realm so far."""

    def __init__(self) -> None:
        self._streams: dict[str, Versioned[Any]] = {}
        self._appends: set[bytes] = set()
        self._clients_with_consent: set[str] = set()

    def against(self, lines: Sequence[Line]) -> Iterator[str]:
        """Add the append, and yield what is wrong with it after the events before it."""
        if lines[0].append_id in self._appends:
            yield f"{lines[0].stream_id}: its append was written twice"
        self._appends.add(lines[0].append_id)
        for line in lines:
            stream = self._stream(line.stream_id)
            what = f"{line.stream_id}: {tag_of(line.event)}"
            if line.version != stream.version + 1:
                yield f"{what} though the stream is at version {stream.version}"
            if not is_decided(stream.state, line.event):
                yield f"{what} though no decision records it in that state"
            else:
                yield from (f"{what} though {why}" for why in self._elsewhere(stream, line))
            self._streams[line.stream_id] = stream.evolved((line.event,))
        together = {type(line.event) for line in lines}
        for event, other in _TOGETHER.items():
            if event in together and other not in together:
                yield f"{lines[0].stream_id}: {tag_of(event)} without {tag_of(other)}"
        for stream_id in {line.stream_id for line in lines}:
            yield from (f"{stream_id}: {why}" for why in self._unfinished(self._stream(stream_id)))

    def _elsewhere(self, stream: Versioned[Any], line: Line) -> Iterator[str]:
        """Yield why other streams forbid this event now."""
        grant: Any = stream.state
        match line.event:
            case ClientDeleted() if line.actor_kind == "system" and stream.key in self._clients_with_consent:
                yield "the client was used"
            case ConsentGiven() as event:
                self._clients_with_consent.add(event.client_id)
                yield from self._parties(event.client_id, event.client_registration, event.user_id)
            case CodeIssued() as event:
                yield from self._parties(event.client_id, event.client_registration, event.user_id)
                yield from self._session(event)
                if not self._covers(code_after(None, event)):
                    yield "the consent does not cover it"
            case GrantOpened() as event:
                yield from self._parties(event.client_id, event.client_registration, event.user_id)
                code = self._state("code", event.code_key)
                if code.grant_id != stream.key:
                    yield "its code was redeemed for another grant"
                if not self._covers(code):
                    yield "the consent is withdrawn"
            case GrantRefreshed() | RefreshRetriedElsewhere() | RefreshTokenReused():
                yield from self._parties(grant.client_id, grant.client_registration, grant.user_id)
            case AccessTokenSigned(kid=kid):
                if kid not in {key.kid for key in self._state("keys", "signing").keys}:
                    yield "there is no such key"
            case SignedIn() as event:
                yield from self._user(event.user_id)
                if event.session_epoch != self._state("user", event.user_id).session_epoch:
                    yield "all sessions were ended"

    def _unfinished(self, stream: Versioned[Any]) -> Iterator[str]:
        """Yield what the last append to the stream lacks: what else is always recorded with it."""
        state: Any = stream.state
        match stream.kind.category:
            case "code" if state.grant_id is not None:
                grant = self._state("grant", state.grant_id)
                if grant is None:
                    yield "it is redeemed, but no grant was opened"
                elif state.replayed and grant.revoked is None:
                    yield "it is replayed, but its grant lives"
            case "keys":
                for alg in state.algorithms:
                    statuses = [key.status for key in state.keys if key.alg == alg]
                    if (statuses.count("active"), statuses.count("next")) != (1, 1):
                        yield f"there is not one active and one next key for {alg}"

    def _session(self, event: CodeIssued) -> Iterator[str]:
        session = self._state("signin", event.session_id)
        if session is None:  # a host's
            return
        if session.signed_out:
            yield "the session is signed out"
        if event.issued_at >= session.expires_at:
            yield "the session has expired"
        if session.session_epoch != self._state("user", event.user_id).session_epoch:
            yield "all sessions were ended"

    def _parties(self, client_id: str, registration: int, user_id: str) -> Iterator[str]:
        try:
            self._state("client", client_id).check_usable(registration)
        except Refusal as refusal:
            yield f"the client is refused: {type(refusal).__name__}"
        yield from self._user(user_id)

    def _user(self, user_id: str) -> Iterator[str]:
        if self._state("user", user_id).disabled:
            yield "the user is disabled"

    def _covers(self, code: Any) -> bool:
        consent = self._state("consent", consent_key(code.user_id, code.client_id))
        return consent is not None and consent.covers(code.asked)

    def _stream(self, stream_id: str) -> Versioned[Any]:
        category, _, key = stream_id.partition(":")
        return self._streams.get(stream_id) or Versioned(kind=KINDS[category], key=key)

    def _state(self, category: str, key: str) -> Any:
        return self._stream(f"{category}:{key}").state
