"""The check of promise 11 over a log finds what it is there to find."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.ledger import facts
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from grantledger.domain.aggregate import Change
from grantledger.domain.browser_session import SignedOut
from grantledger.domain.client_registration import ClientDeleted, ClientDisabled
from grantledger.domain.consent import ConsentWithdrawn
from grantledger.domain.user_account import AccountDisabled, SessionsEnded
from support.overtaken import overtaken


class Log:
    """Everything that one code and one grant need, and what is written behind it whatever that is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        database = SqliteDatabase(path)
        migrations.migrate(database)
        self._recorder = Recorder(database)
        self._versions: dict[str, int] = {}
        for change in (facts.registered(), facts.opened_account(), facts.consented(), facts.signed_in()):
            self.add(change)

    def add(self, change: Change[Any], *events: Any) -> None:
        stream_id = change.kind.stream_id(change.key)
        for event in events or change.events:
            self._versions[stream_id] = self._versions.get(stream_id, 0) + 1
            self._recorder.insert_events([facts.stored(stream_id, self._versions[stream_id], event)])


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "ledger.sqlite3")


def test_a_log_in_which_everything_is_allowed_is_good(log: Log):
    log.add(facts.issued(session_id="session"))
    log.add(facts.opened())
    log.add(facts.consented(), ConsentWithdrawn(withdrawn_at=2_000))
    assert overtaken(log.path) == []


def test_a_client_that_is_registered_again_without_a_deletion_is_named(log: Log):
    log.add(facts.registered(), ClientDeleted(deleted_at=2))
    log.add(facts.registered())
    log.add(facts.registered())
    why = "the client is registered already"
    assert overtaken(log.path) == [f"client:glc_editor: client.registered.v1 though {why}"]


@pytest.mark.parametrize(
    ("change", "event", "why"),
    [
        (facts.registered, ClientDisabled(disabled_at=2), "the client is disabled"),
        (facts.opened_account, AccountDisabled(disabled_at=2), "the user is disabled"),
        (facts.consented, ConsentWithdrawn(withdrawn_at=2), "the consent is withdrawn"),
    ],
)
def test_a_grant_behind_what_forbids_it_is_named(
    log: Log, change: Callable[[], Change[Any]], event: Any, why: str
):
    log.add(change(), event)
    log.add(facts.opened())
    assert overtaken(log.path) == [f"grant:grant: token_grant.opened.v1 though {why}"]


@pytest.mark.parametrize(
    ("change", "event", "why"),
    [
        (facts.signed_in, SignedOut(signed_out_at=2), "the session is signed out"),
        (facts.opened_account, SessionsEnded(session_epoch=1, ended_at=2), "all sessions were ended"),
    ],
)
def test_a_code_behind_the_end_of_its_session_is_named(
    log: Log, change: Callable[[], Change[Any]], event: Any, why: str
):
    log.add(change(), event)
    log.add(facts.issued(session_id="session"))
    assert overtaken(log.path) == [f"code:code: authorization_code.issued.v1 though {why}"]
