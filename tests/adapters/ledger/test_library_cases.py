"""The `eventsourcing` library's own cases for recorders, unchanged, for streams named by UUID and by text."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import TestCase
from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.tests import persistence as library

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.recorder import Recorder


class RecorderOfStreams(Recorder):
    """The library's recorders of streams alone give no positions, and its case insists on it."""

    def insert_events(  # type: ignore[override]
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> None:
        super().insert_events(stored_events, **kwargs)


class InADirectoryOfItsOwn(TestCase):
    recorder_class: type[Recorder] = Recorder

    def create_recorder(self) -> Recorder:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        database = Database(Path(directory.name) / "ledger.db")
        self.addCleanup(database.engine.dispose)
        migrations.migrate(database)
        return self.recorder_class(database, TagMapper())


class NamedByText:
    def new_originator_id(self) -> UUID | str:
        return f"library:{uuid4()}"


class TestAggregateRecorder(InADirectoryOfItsOwn, library.AggregateRecorderTestCase):
    recorder_class = RecorderOfStreams


class TestApplicationRecorder(InADirectoryOfItsOwn, library.ApplicationRecorderTestCase[Recorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTrackingRecorder(InADirectoryOfItsOwn, library.TrackingRecorderTestCase):
    pass


class TestProcessRecorder(InADirectoryOfItsOwn, library.ProcessRecorderTestCase):
    pass


class TestNonInterleavingNotificationIDs(
    InADirectoryOfItsOwn, library.NonInterleavingNotificationIDsBaseCase
):
    pass


class TestAggregateRecorderByText(NamedByText, TestAggregateRecorder):
    pass


class TestApplicationRecorderByText(NamedByText, TestApplicationRecorder):
    pass


class TestProcessRecorderByText(NamedByText, TestProcessRecorder):
    pass
