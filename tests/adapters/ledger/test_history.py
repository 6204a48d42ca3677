"""Reading the log: its events by client, user and grant, and the state of a stream at a time."""

import itertools
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import event

from adapters.ledger import facts
from adapters.ledger.storage import (
    WatchedDatabase,
    WatchedSqlite,
    a_ledger,
    digest_of_address,
    only_sqlite,
    rows_of,
    writer_in_queue,
    writers_held_up,
)
from grantledger.adapters.ledger.events import UnknownTag, uuid7
from grantledger.adapters.ledger.history import Audit, Filter, Past, RecordedEvent, up_to
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.application.history.as_of import PastGrant, ReadClientAsOf, ReadGrantAsOf
from grantledger.application.provenance import Caller, by_client, by_operator, by_user
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import CODE, CodeRedeemed
from grantledger.domain.browser_session import SIGNIN, SignedIn, SignedOut
from grantledger.domain.client_registration import CLIENT, ClientDeleted, ClientDisabled
from grantledger.domain.consent import CONSENT, ConsentGiven, ConsentWithdrawn
from grantledger.domain.token_grant import GRANT, GrantRevoked
from grantledger.domain.user_account import USER, AccountDisabled
from support import clients, codes, grants

CALLER = Caller(correlation_id="request", trace_id="trace", address="203.0.113.7")
EDITOR, BROWSER = by_client("glc_editor", CALLER), by_user("glu_ada", CALLER)
START = datetime(2026, 11, 21, 9, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def ledger(database: WatchedDatabase) -> AsyncIterator[EventLedger]:
    """Each append is recorded an hour after the one before.

    The clock is read twice for each: for the ids, and when it is written.
    """
    halves = itertools.count()
    start = int(START.timestamp())
    ledger = a_ledger(database, now=lambda: (start + 1_800 * (next(halves) - 1)) * 1_000_000)
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture
async def audit(ledger: EventLedger, database: WatchedDatabase) -> Audit:
    """Ada allows the editor and Bob another client. Then an operator disables Ada and the editor."""
    await ledger.record([facts.registered("glc_editor")], by_operator(CALLER))
    await ledger.record(
        [facts.opened_account("glu_ada"), facts.opened_account("glu_bob")], by_operator(CALLER)
    )
    signed_in = SignedIn(session_id="s", user_id="glu_ada", secret_digest="d", signed_in_at=1, expires_at=2)
    await ledger.record([Versioned(kind=SIGNIN, key="session").then((signed_in,))], BROWSER)
    consent = ConsentGiven(
        user_id="glu_ada",
        client_id="glc_editor",
        client_registration=1,
        redirect_host="client.example",
        resource=codes.ISSUED.resource,
        scopes=("openid",),
        given_at=1,
    )
    await ledger.record(
        [Versioned(kind=CONSENT, key="consent").then((consent,)), facts.issued("ada-code")], BROWSER
    )
    code = await ledger.load(CODE, "ada-code")
    redeemed = code.then((CodeRedeemed(grant_id="ada-grant", redeemed_at=1),))
    await ledger.record([redeemed, facts.opened("ada-grant", code_key="ada-code")], EDITOR)
    bob = {"user_id": "glu_bob", "client_id": "glc_other"}
    named_like_ada = bob | {"session_id": "glu_ada"}
    await ledger.record([facts.issued("bob-code", **named_like_ada)], by_user("glu_bob", CALLER))
    await ledger.record(
        [facts.opened("bob-grant", code_key="bob-code", **bob)], by_client("glc_other", CALLER)
    )
    await ledger.record([facts.refreshed(await ledger.load(GRANT, "ada-grant"))], EDITOR)
    session = await ledger.load(SIGNIN, "session")
    await ledger.record([session.then((SignedOut(signed_out_at=2),))], BROWSER)
    ada, editor = await ledger.load(USER, "glu_ada"), await ledger.load(CLIENT, "glc_editor")
    await ledger.record([ada.then((AccountDisabled(disabled_at=2),))], by_operator(CALLER))
    await ledger.record([editor.then((ClientDisabled(disabled_at=2),))], by_operator(CALLER))
    return Audit(database, page=2)


ADA = [
    "user.opened.v1",
    "browser_session.signed_in.v1",
    "consent.given.v1",
    "authorization_code.issued.v1",
    "authorization_code.redeemed.v1",
    "token_grant.opened.v1",
    "token_grant.refreshed.v1",
    "browser_session.signed_out.v1",
    "user.disabled.v1",
]


def tags(lines: list[RecordedEvent]) -> list[str]:
    return [line.tag for line in lines]


async def test_without_a_filter_everything_is_read_in_order(audit: Audit):
    lines = list(audit.events(Filter()))
    assert [line.position for line in lines] == list(range(1, 15))


async def test_a_user_filter_finds_account_sessions_consents_codes_and_grants(audit: Audit):
    assert tags(list(audit.events(Filter(user="glu_ada")))) == ADA


async def test_a_client_filter_finds_registration_consents_codes_and_grants(audit: Audit):
    assert tags(list(audit.events(Filter(client="glc_editor")))) == [
        "client.registered.v1",
        "consent.given.v1",
        "authorization_code.issued.v1",
        "authorization_code.redeemed.v1",
        "token_grant.opened.v1",
        "token_grant.refreshed.v1",
        "client.disabled.v1",
    ]


async def test_a_client_filter_leaves_out_what_its_users_have_with_other_clients(
    audit: Audit, ledger: EventLedger
):
    code = facts.issued("another-code", user_id="glu_ada", client_id="glc_third")
    await ledger.record([facts.consented("glc_third"), code], BROWSER)
    third = tags(list(audit.events(Filter(client="glc_third"))))
    assert third == ["consent.given.v1", "authorization_code.issued.v1"]
    assert "code:another-code" not in {line.stream_id for line in audit.events(Filter(client="glc_editor"))}


EDITOR_OF_ADA = {"client": "glc_editor", "user": "glu_ada"}


@pytest.mark.parametrize(
    ("tag", "about"),
    [
        ("client.disabled.v1", {"client": "glc_editor"}),
        ("user.disabled.v1", {"user": "glu_ada"}),
        ("token_grant.refreshed.v1", {"grant": "ada-grant", **EDITOR_OF_ADA}),
        ("consent.given.v1", EDITOR_OF_ADA),
        ("browser_session.signed_out.v1", {"user": "glu_ada"}),
    ],
)
async def test_a_line_names_the_parties_though_the_event_does_not(audit: Audit, tag, about):
    (line,) = (line for line in audit.events(Filter()) if line.tag == tag)
    assert line.about == about


async def test_a_withdrawn_consent_names_its_user_and_its_client(audit: Audit, ledger: EventLedger):
    consent = await ledger.load(CONSENT, "consent")
    await ledger.record([consent.then((ConsentWithdrawn(withdrawn_at=3),))], BROWSER)
    for wanted in (Filter(client="glc_editor"), Filter(user="glu_ada")):
        *_, last = audit.events(wanted)
        assert (last.tag, last.about) == ("consent.withdrawn.v1", EDITOR_OF_ADA)


async def test_a_grant_filter_finds_the_code_that_opened_it(audit: Audit):
    assert tags(list(audit.events(Filter(grant="ada-grant")))) == [
        "authorization_code.issued.v1",
        "authorization_code.redeemed.v1",
        "token_grant.opened.v1",
        "token_grant.refreshed.v1",
    ]


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-5))])
async def test_since_leaves_out_what_was_recorded_before(audit: Audit, zone: timezone):
    since = (START + 7 * AN_HOUR).astimezone(zone)
    assert tags(list(audit.events(Filter(user="glu_ada", since=since)))) == ADA[-3:]


async def test_an_event_must_match_every_filter(audit: Audit):
    lines = audit.events(Filter(client="glc_editor", user="glu_ada", since=START + 5 * AN_HOUR))
    assert tags(list(lines)) == ["token_grant.refreshed.v1"]


@pytest.mark.parametrize(
    "part", [Filter(user="glu_a"), Filter(client="glc_edit"), Filter(grant="grant"), Filter(user='"')]
)
async def test_part_of_an_id_finds_nothing(audit: Audit, part: Filter):
    assert list(audit.events(part)) == []


async def test_a_users_streams_are_known_from_the_log_alone(audit: Audit, database: WatchedDatabase):
    for table in ("token_grant", "code", "consent", "signin", "user_account"):
        rows_of(database, f"DELETE FROM {table}")
    assert tags(list(audit.events(Filter(user="glu_ada")))) == ADA


async def test_a_line_has_the_event_and_its_whole_envelope(audit: Audit):
    redeemed, opened = list(audit.events(Filter(grant="ada-grant")))[1:3]
    ids = uuid7(int((START + 3.5 * AN_HOUR).timestamp()) * 1_000_000, 0)
    assert redeemed.event == CodeRedeemed(grant_id="ada-grant", redeemed_at=1)
    assert (redeemed.position, redeemed.stream_id, redeemed.version) == (7, "code:ada-code", 2)
    assert isinstance(redeemed.event_id, UUID)
    assert redeemed.event_id.bytes[:6] == ids[:6]
    assert redeemed.append_id == opened.append_id
    assert redeemed.recorded_at == START + 4 * AN_HOUR
    assert (redeemed.actor_kind, redeemed.actor_id) == ("client", "glc_editor")
    assert redeemed.about == {"client": "glc_editor", "user": "glu_ada"}
    assert (redeemed.correlation_id, redeemed.trace_id) == ("request", "trace")
    assert redeemed.address_digest == digest_of_address("203.0.113.7").hex()


async def test_what_a_tool_of_the_library_wrote_is_read_too(audit: Audit, database: WatchedDatabase):
    Recorder(database).insert_events([facts.stored("user:glu_eve", 1, facts.opened_account().events[0])])
    (line,) = audit.events(Filter(user="glu_ada", since=datetime.now(UTC) - timedelta(minutes=1)))
    assert (line.stream_id, line.actor_kind, line.actor_id) == ("user:glu_eve", "tool", None)


async def test_an_event_that_this_release_does_not_know_is_never_skipped(
    audit: Audit, database: WatchedDatabase
):
    Recorder(database).insert_events([StoredEvent("elsewhere:1", 1, "something.new.v1", b"{}")])
    with pytest.raises(UnknownTag):
        list(audit.events(Filter()))


async def test_an_audit_leaves_out_events_recorded_after_it_began(audit: Audit, ledger: EventLedger):
    lines = audit.events(Filter())
    next(lines)
    await ledger.record([facts.opened_account("glu_eve")], facts.OPERATOR)
    assert len(list(lines)) == 13


SECOND = 1_000_000


class Days:
    """A ledger whose clock a test sets. It says what was recorded as of a second."""

    def __init__(self, database: WatchedDatabase) -> None:
        self.second = 0
        self._database = database
        self.ledger = a_ledger(database, now=lambda: self.second * SECOND)
        self.past = Past(database)

    async def at(self, second: int, *changes: Any) -> None:
        self.second = second
        await self.ledger.record(changes, facts.OPERATOR)

    async def then(self, second: int, kind: Any, key: str, *events: Any) -> None:
        await self.at(second, (await self.ledger.load(kind, key)).then(events))

    async def version(self, second: float, key: str = "grant") -> int:
        return (await self.past.load_as_of(GRANT, key, int(second * SECOND))).version

    async def grant(self, second: int) -> PastGrant | None:
        return await ReadGrantAsOf(self.past)("grant", second * SECOND)

    async def status(self, second: int) -> str | None:
        found = await self.grant(second)
        return None if found is None else found.status


@pytest.fixture
async def days(database: WatchedDatabase):
    days = Days(database)
    await days.ledger.open()
    yield days
    await days.ledger.close()


async def opened(days: Days, at: int = 1_000) -> None:
    client_id, user_id = grants.OPENED.client_id, grants.OPENED.user_id
    await days.at(at, facts.registered(client_id), facts.opened_account(user_id), facts.opened())


async def test_a_past_state_has_all_events_recorded_by_then(days: Days):
    """Fails if events at exactly this time are left out, or if the newest state is returned."""
    await opened(days)
    await days.at(1_010, facts.refreshed(await days.ledger.load(GRANT, "grant")))
    moments = (999.999999, 1_000, 1_009.999999, 1_010, 9_999)
    assert [await days.version(moment) for moment in moments] == [0, 1, 1, 2, 2]


async def test_earlier_events_are_included_even_if_their_clock_was_fast(days: Days):
    """Fails if events are selected by time alone: an earlier event with a later time would be missing."""
    await opened(days)
    await days.at(5_000, facts.refreshed(await days.ledger.load(GRANT, "grant")))  # a clock that is fast
    await days.at(1_020, facts.revoked(await days.ledger.load(GRANT, "grant")))
    assert [await days.version(moment) for moment in (1_010, 1_020, 5_000)] == [1, 3, 3]


async def test_the_past_is_read_from_the_log_and_not_from_rows(days: Days, database: WatchedDatabase):
    await opened(days)
    for table in ("token_grant", "client", "user_account"):
        rows_of(database, f"DELETE FROM {table}")
    assert await days.status(1_001) == "live"


async def test_a_realm_has_a_past_of_its_own(days: Days, database: WatchedDatabase):
    await opened(days)
    elsewhere = Past(database, realm="elsewhere")
    assert (await elsewhere.load_as_of(GRANT, "grant", 2_000 * SECOND)).version == 0


async def test_the_past_is_read_on_another_thread(days: Days, database: WatchedDatabase):
    """Otherwise a long stream would block the event loop, for which other requests wait."""
    await opened(days)
    threads = set()

    def note(*_: Any) -> None:
        threads.add(threading.get_ident())

    event.listen(database.engine, "before_cursor_execute", note)
    assert await days.version(2_000) == 1
    assert threads
    assert threading.get_ident() not in threads


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 20), st.integers(0, 20))
def test_a_later_time_never_has_fewer_events(times: list[int], one: int, other: int):
    earlier, later = sorted((one, other))
    assert up_to(times, earlier) <= up_to(times, later)


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 20))
def test_a_past_state_ends_with_the_last_event_recorded_by_then(times: list[int], moment: int):
    held = up_to(times, moment)
    assert all(time > moment for time in times[held:])
    assert held == 0 or times[held - 1] <= moment


async def test_a_grant_is_judged_by_the_moment_and_not_by_today(days: Days):
    """Fails if expiry is judged by the present clock."""
    await opened(days)
    assert grants.OPENED.refresh_expires_at is not None
    ends = grants.OPENED.refresh_expires_at
    assert [await days.status(moment) for moment in (999, 1_000, ends - 1, ends)] == [
        None,
        "live",
        "live",
        "expired",
    ]
    found = await days.grant(grants.OPENED.access_expires_at)
    assert found is not None
    assert (found.access_token_live, found.refresh_token_live) == (False, True)


async def test_a_past_grant_has_its_access_its_client_and_its_user(days: Days):
    await opened(days)
    await days.at(1_010, facts.refreshed(await days.ledger.load(GRANT, "grant")))
    before, after = await days.grant(1_009), await days.grant(1_010)
    assert before is not None
    assert after is not None
    assert (before.client_id, before.user_id) == (grants.OPENED.client_id, grants.OPENED.user_id)
    assert (before.generation, before.access.scopes) == (0, grants.OPENED.scopes)
    assert (after.generation, after.access) == (1, grants.ONLY_READ)
    assert after.consented == before.consented


async def test_a_revoked_grant_says_since_when_and_why(days: Days):
    await opened(days)
    await days.then(1_100, GRANT, "grant", GrantRevoked(reason="client", revoked_at=1_100))
    assert [await days.status(moment) for moment in (1_099, 1_100)] == ["live", "revoked"]
    found = await days.grant(1_100)
    assert found is not None
    assert (found.revoked, found.access_token_live, found.refresh_token_live) == ("client", False, False)


@pytest.mark.parametrize(
    ("kind", "key", "event", "status"),
    [
        (CLIENT, grants.OPENED.client_id, ClientDisabled(disabled_at=1), "client disabled"),
        (CLIENT, grants.OPENED.client_id, ClientDeleted(deleted_at=1), "client deleted"),
        (USER, grants.OPENED.user_id, AccountDisabled(disabled_at=1), "user disabled"),
    ],
)
async def test_a_past_grant_is_as_usable_as_its_client_and_its_user(
    days: Days, kind: Any, key: str, event: Any, status: str
):
    await opened(days)
    await days.then(1_100, kind, key, event)
    assert [await days.status(moment) for moment in (1_099, 1_100)] == ["live", status]


async def test_a_past_client_is_found_before_and_after_its_deletion(days: Days):
    name = clients.REGISTERED.client_id
    await days.at(1_000, facts.registered(name))
    await days.then(1_100, CLIENT, name, ClientDisabled(disabled_at=1_100))
    await days.then(1_200, CLIENT, name, ClientDeleted(deleted_at=1_200))
    await days.then(1_300, CLIENT, name, replace(clients.REGISTERED, registered_at=1_300))
    read = ReadClientAsOf(days.past)
    found = [await read(name, second * SECOND) for second in (999, 1_000, 1_100, 1_200, 1_300)]
    assert [client and (client.status, client.registration) for client in found] == [
        None,
        ("active", 1),
        ("disabled", 1),
        ("deleted", 1),
        ("active", 2),
    ]


async def test_an_event_has_the_time_of_its_write_not_of_its_queueing(days: Days, database: WatchedDatabase):
    """Fails if an event has the time of its request."""
    await opened(days)
    days.second = 2_000
    revoked = (await days.ledger.load(GRANT, "grant")).then(
        [GrantRevoked(reason="revoked_by_user", revoked_at=2_000)]
    )
    with writers_held_up(database):
        recording = await writer_in_queue(database, days.ledger, revoked)
        days.second = 3_000
    await recording
    assert (await days.version(2_999), await days.version(3_000)) == (1, 2)


@pytest.fixture
def statements(database: WatchedDatabase) -> list[tuple[str, Any]]:
    """The statements that SQLAlchemy sends to the database from here on, with their parameters."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    return asked


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(user="glu_ada"), "events_user"),
        (Filter(client="glc_editor"), "events_consent"),
        (Filter(client="glc_editor", user="glu_ada"), "events_consent"),
        (Filter(user="glu_ada", since=START), "events_user"),
        (Filter(grant="ada-grant"), "sqlite_autoindex_events_2"),
    ],
)
@only_sqlite
async def test_an_audit_of_one_party_is_answered_from_indexes(
    audit: Audit, database: WatchedSqlite, statements: list[tuple[str, Any]], wanted: Filter, index: str
):
    """Fails if all events are read, and those of others are filtered out afterwards."""
    assert list(audit.events(wanted))
    steps = []
    with closing(sqlite3.connect(database.path)) as connection:
        for text, parameters in statements:
            steps += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
    assert any(f"INDEX {index} " in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN") and step != "SCAN CONSTANT ROW"] == []
    # The log is searched by stream or by position, never by a range of positions.
    of_the_log = [step for step in steps if step.startswith("SEARCH events ")]
    assert of_the_log
    assert [step for step in of_the_log if "stream_id=?" not in step and "position=?" not in step] == []
