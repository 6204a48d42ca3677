"""What the `eventsourcing` library needs to follow our log: an application and a projection."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from eventsourcing.application import Application
from eventsourcing.persistence import InfrastructureFactory, Tracking
from eventsourcing.projection import Projection, ProjectionRunner

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.recorder import Entry, Recorder, TagMapper
from support.stores import Ledger, database_at, ledger_at


class LedgerFactory(InfrastructureFactory[Any]):
    """Found by the library through `PERSISTENCE_MODULE`; `LEDGER` is its path or URL."""

    def mapper(self, *_: Any, **__: Any) -> Any:
        return TagMapper()

    def application_recorder(self) -> Recorder:
        return Recorder(_database_at(str(self.env.get("LEDGER"))))

    def aggregate_recorder(self, purpose: str = "events") -> Any:
        return self.application_recorder()

    def process_recorder(self) -> Recorder:
        return self.application_recorder()

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> Any:
        return tracking_recorder_class(_database_at(str(self.env.get("LEDGER"))))


class ServerLog(Application[str]):
    """All that the server's ledger records, as an application of the library."""

    name = "server"


class Seen(Recorder):
    """A view: what it has seen is in memory, how far it has read is in the ledger."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.entries: list[tuple[int, Entry]] = []


class Watch(Projection[Seen]):
    name = "watch"
    topics = ()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.entries.append((tracking.notification_id, domain_event))
        self.view.insert_tracking(tracking)


@contextmanager
def watching(ledger: Ledger) -> Iterator[ProjectionRunner[ServerLog, Seen]]:
    """Follow the ledger from where the last runner stopped."""
    env = {"PERSISTENCE_MODULE": "support.projection_runner:LedgerFactory", "LEDGER": str(ledger)}
    classes: dict[str, Any] = {"application_class": ServerLog, "projection_class": Watch, "view_class": Seen}
    with ProjectionRunner(**classes, env=env) as runner:
        yield runner
    _database_at(str(ledger)).engine.dispose()


@cache
def _database_at(address: str) -> Database:
    return database_at(ledger_at(address))
