"""The `eventsourcing` library on our log: its recorder cases, and its tools next to the server."""

import threading
from collections.abc import Sequence
from typing import Any
from unittest import TestCase
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import LocalNotificationLog
from eventsourcing.persistence import EventStore, IntegrityError, Notification, StoredEvent, Tracking
from eventsourcing.tests import persistence as library

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, a_database, a_ledger
from grantledger.adapters.ledger.events import UnknownTag
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.recorder import Entry, Recorder, TagMapper
from grantledger.adapters.ledger.replay import Replay
from grantledger.application.ports import Conflict
from grantledger.domain.client_registration import ClientRegistered
from grantledger.domain.token_grant import GRANT, GrantRevoked
from support import grants
from support.timeouts import TIMEOUT


class RecorderOfStreams(Recorder):
    """Returns no positions: the library's test of an aggregate recorder requires that."""

    def insert_events(  # type: ignore[override]
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> None:
        super().insert_events(stored_events, **kwargs)


class InADatabaseOfItsOwn(TestCase):
    recorder_class: type[Recorder] = Recorder
    store = "sqlite"

    def create_recorder(self) -> Recorder:
        database = self.enterContext(a_database(self.store))
        self.addCleanup(end_of_threads)  # one of the library's cases returns while a thread still reads
        return self.recorder_class(database)


def end_of_threads() -> None:
    for thread in threading.enumerate():
        if "read_continuously" in thread.name:
            thread.join(TIMEOUT)


class NamedByText:
    def new_originator_id(self) -> UUID | str:
        return f"library:{uuid4()}"


class TestAggregateRecorder(InADatabaseOfItsOwn, library.AggregateRecorderTestCase):
    recorder_class = RecorderOfStreams


class TestApplicationRecorder(InADatabaseOfItsOwn, library.ApplicationRecorderTestCase[Recorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTrackingRecorder(InADatabaseOfItsOwn, library.TrackingRecorderTestCase):
    pass


class TestProcessRecorder(InADatabaseOfItsOwn, library.ProcessRecorderTestCase):
    pass


class TestNonInterleavingNotificationIDs(InADatabaseOfItsOwn, library.NonInterleavingNotificationIDsBaseCase):
    pass


class TestAggregateRecorderByText(NamedByText, TestAggregateRecorder):
    pass


class TestApplicationRecorderByText(NamedByText, TestApplicationRecorder):
    pass


class TestProcessRecorderByText(NamedByText, TestProcessRecorder):
    pass


class InPostgreSQL:
    store = "postgresql"


class TestAggregateRecorderInPostgreSQL(InPostgreSQL, TestAggregateRecorder):
    pass


class TestApplicationRecorderInPostgreSQL(InPostgreSQL, TestApplicationRecorder):
    pass


class TestTrackingRecorderInPostgreSQL(InPostgreSQL, TestTrackingRecorder):
    pass


class TestProcessRecorderInPostgreSQL(InPostgreSQL, TestProcessRecorder):
    pass


class TestNonInterleavingNotificationIDsInPostgreSQL(InPostgreSQL, TestNonInterleavingNotificationIDs):
    pass


class TestAggregateRecorderByTextInPostgreSQL(InPostgreSQL, TestAggregateRecorderByText):
    pass


class TestApplicationRecorderByTextInPostgreSQL(InPostgreSQL, TestApplicationRecorderByText):
    pass


class TestProcessRecorderByTextInPostgreSQL(InPostgreSQL, TestProcessRecorderByText):
    pass


REVOKED = GrantRevoked(reason="by a tool", revoked_at=2_000)


@pytest.fixture
def recorder(database: WatchedDatabase) -> Recorder:
    return Recorder(database)


@pytest.fixture
def store(recorder: Recorder) -> EventStore[str]:
    return EventStore(TagMapper(), recorder)


async def test_the_event_store_reads_what_the_server_wrote(ledger: EventLedger, store: EventStore[str]):
    await ledger.record([facts.opened()], facts.OPERATOR)
    await ledger.record([facts.revoked(await ledger.load(GRANT, "grant"))], facts.OPERATOR)
    assert list(store.get("grant:grant")) == [
        Entry("grant:grant", 1, grants.OPENED),
        Entry("grant:grant", 2, GrantRevoked(reason="test", revoked_at=2_000)),
    ]


async def test_the_server_reads_what_the_event_store_wrote(ledger: EventLedger, store: EventStore[str]):
    await ledger.record([facts.opened()], facts.OPERATOR)
    (recording,) = store.put([Entry("grant:grant", 2, REVOKED)])
    assert recording.notification.id == 2
    grant = await ledger.load(GRANT, "grant")
    assert (grant.version, grant.state and grant.state.revoked) == (2, "by a tool")


async def test_a_server_that_comes_second_meets_a_conflict(ledger: EventLedger, store: EventStore[str]):
    """Fails if the append of the slower server counts as recorded."""
    await ledger.record([facts.opened()], facts.OPERATOR)
    seen = await ledger.load(GRANT, "grant")
    store.put([Entry("grant:grant", 2, REVOKED)])
    with pytest.raises(Conflict):
        await ledger.record([facts.refreshed(seen)], facts.OPERATOR)


async def test_an_event_store_that_comes_second_meets_a_conflict(ledger: EventLedger, store: EventStore[str]):
    await ledger.record([facts.opened()], facts.OPERATOR)
    with pytest.raises(IntegrityError):
        store.put([Entry("grant:grant", 1, grants.OPENED)])


def test_an_event_store_cannot_leave_a_gap_in_our_streams(store: EventStore[str]):
    store.put([Entry("grant:grant", 1, grants.OPENED)])
    with pytest.raises(IntegrityError):
        store.put([Entry("grant:grant", 3, REVOKED)])


def test_an_event_store_cannot_write_an_unknown_tag_to_our_streams(recorder: Recorder):
    with pytest.raises(UnknownTag):
        recorder.insert_events([StoredEvent("grant:grant", 1, "token_grant.lent.v1", b"{}")])
    assert recorder.max_notification_id() is None


async def test_the_rows_equal_the_replay_when_a_tool_wrote(
    ledger: EventLedger, store: EventStore[str], database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.OPERATOR)
    store.put([Entry("grant:grant", 2, REVOKED), Entry("grant:other", 1, grants.OPENED)])
    assert list(Replay(database, now=lambda: 1_000).differences()) == []


async def test_the_notification_log_gives_what_the_server_wrote_in_order(
    ledger: EventLedger, recorder: Recorder
):
    await ledger.record([facts.registered(), facts.opened_account()], facts.OPERATOR)
    await ledger.record([facts.opened()], facts.OPERATOR)
    section = LocalNotificationLog(recorder)["1,10"]
    assert [(item.id, item.originator_id, item.originator_version) for item in section.items] == [
        (1, "client:glc_editor", 1),
        (2, "user:glu_ada", 1),
        (3, "grant:grant", 1),
    ]
    assert isinstance(TagMapper().to_domain_event(section.items[0]).event, ClientRegistered)


def following(recorder: Recorder, count: int, **options: Any) -> tuple[threading.Thread, list[Notification]]:
    seen: list[Notification] = []

    def follow() -> None:
        with recorder.subscribe(**options) as subscription:
            for notification in subscription:
                seen.append(notification)
                if len(seen) == count:
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    return thread, seen


async def test_a_waiting_subscription_sees_what_the_server_records(ledger: EventLedger, recorder: Recorder):
    thread, seen = following(recorder, 3)
    await ledger.record([facts.issued(), facts.opened()], facts.OPERATOR)
    await ledger.record([facts.opened_account()], facts.OPERATOR)
    thread.join(5)
    assert [notification.id for notification in seen] == [1, 2, 3]


async def test_a_subscription_begins_after_a_position_and_keeps_to_topics(
    ledger: EventLedger, recorder: Recorder
):
    for name in "123":
        await ledger.record([facts.issued(name), facts.opened(name)], facts.OPERATOR)
    thread, seen = following(recorder, 2, gt=2, topics=["token_grant.opened.v1"])
    thread.join(5)
    assert [notification.originator_id for notification in seen] == ["grant:2", "grant:3"]


def test_a_stopped_subscription_ends_though_it_waits(recorder: Recorder):
    subscription = recorder.subscribe()
    thread = threading.Thread(target=lambda: list(subscription))
    thread.start()
    subscription.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_tracking_is_written_with_the_events_or_not_at_all(recorder: Recorder):
    recorder.insert_events([StoredEvent(uuid4(), 1, "topic", b"")], tracking=Tracking("upstream", 7))
    with pytest.raises(IntegrityError):
        recorder.insert_events([StoredEvent(uuid4(), 1, "topic", b"")], tracking=Tracking("upstream", 7))
    assert (recorder.max_notification_id(), recorder.max_tracking_id("upstream")) == (1, 7)


async def test_a_realm_neither_sees_nor_meets_another(database: WatchedDatabase):
    ledgers = {realm: a_ledger(database, realm=realm) for realm in ("one", "two")}
    for ledger in ledgers.values():
        await ledger.open()
        await ledger.record([facts.issued(), facts.opened()], facts.OPERATOR)
    log = Recorder(database, realm="two")
    assert [item.id for item in log.select_notifications(None, 10)] == [1, 2]
    assert len(log.select_events("grant:grant")) == 1
    for ledger in ledgers.values():
        await ledger.close()
