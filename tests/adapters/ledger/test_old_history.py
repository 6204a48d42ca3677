"""A ledger that an older release wrote means the same for ever: its bytes, its rows, its answers.

`tests/support/write_old_history.py` says how one is made. Neither a ledger nor its answers are ever changed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.ledger.storage import rows_of
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.audit import Audit, Filter
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.adapters.ledger.replay import Replay
from grantledger.adapters.ledger.schema import ROWS
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.provenance import Caller
from grantledger.domain.kinds import EVENTS, KINDS
from support.old_history import (
    LEDGERS,
    Question,
    Remembered,
    SignIn,
    asked,
    copied,
    digest_of_log,
    world,
)
from support.old_history_story import START
from support.write_old_history import write

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")

NAMES = sorted(path.name for path in LEDGERS.iterdir())
REMEMBERED = {
    name: msgspec.json.decode((LEDGERS / name / "answers.json").read_bytes(), type=Remembered)
    for name in NAMES
}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database(tmp_path: Path, name: str) -> Iterator[Database]:
    """A copy, brought to the schema of this release."""
    database = Database(copied(name, tmp_path))
    migrations.migrate(database)
    yield database
    database.engine.dispose()


def forget_rows(database: Database) -> None:
    """As if an older release had folded them in a way that this one cannot even read."""
    for table in ROWS.values():
        rows_of(database, f"UPDATE {table.name} SET fold = 0, state = 'what only it could read'")


def cases(of: str) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}: {getattr(case, 'name', getattr(case, 'email', ''))}")
        for name in NAMES
        for case in getattr(REMEMBERED[name], of)
    ]


def test_every_event_of_its_day_is_in_it():
    assert set(REMEMBERED["first"].tags["main"]) == {
        "authorization_code.issued.v1",
        "authorization_code.redeemed.v1",
        "authorization_code.replayed.v1",
        "browser_session.signed_in.v1",
        "browser_session.signed_out.v1",
        "client.deleted.v1",
        "client.disabled.v1",
        "client.registered.v1",
        "consent.given.v1",
        "token_grant.access_tokens_revoked.v1",
        "token_grant.opened.v1",
        "token_grant.refresh_token_reused.v1",
        "token_grant.refreshed.v1",
        "token_grant.revoked.v1",
        "user.disabled.v1",
        "user.opened.v1",
    }


def test_every_event_that_there_was_when_the_second_was_written_is_in_it():
    assert sorted(set(REMEMBERED["second"].tags["main"])) == [
        "authorization_code.issued.v1",
        "authorization_code.redeemed.v1",
        "authorization_code.replayed.v1",
        "browser_session.signed_in.v1",
        "browser_session.signed_out.v1",
        "client.approval_withdrawn.v1",
        "client.approved.v1",
        "client.deleted.v1",
        "client.disabled.v1",
        "client.enabled.v1",
        "client.registered.v1",
        "consent.given.v1",
        "consent.withdrawn.v1",
        "master_secret.activated.v1",
        "master_secret.added.v1",
        "master_secret.retired.v1",
        "signing_key.activated.v1",
        "signing_key.created.v1",
        "signing_key.retired.v1",
        "token_grant.access_tokens_revoked.v1",
        "token_grant.opened.v1",
        "token_grant.refresh_token_reused.v1",
        "token_grant.refreshed.v1",
        "token_grant.revoked.v1",
        "user.disabled.v1",
        "user.enabled.v1",
        "user.opened.v1",
        "user.password_changed.v1",
        "user.password_erased.v1",
        "user.sessions_ended.v1",
    ]


def test_it_migrates_to_the_schema_of_this_release(database: Database):
    migrations.check(database)


def test_neither_migration_nor_rebuild_rewrites_a_byte_of_the_log(name: str, database: Database):
    """Seen to catch: a migration that fills in `trace_id` where it is null."""
    for _ in Rebuild(database, TagMapper()).steps():
        pass
    assert digest_of_log(database.path) == REMEMBERED[name].digest_of_log


def test_its_rows_are_rebuilt_to_what_a_replay_gives(name: str, database: Database):
    for _ in Rebuild(database, TagMapper(), page=10).steps():
        pass
    for realm in REMEMBERED[name].rows:
        assert list(Replay(database, TagMapper(), realm=realm).differences()) == []


def test_every_event_of_it_is_read(name: str, database: Database):
    lines = Audit(database, TagMapper()).lines(Filter())
    assert [line.tag for line in lines] == REMEMBERED[name].tags["main"]


@pytest.mark.parametrize("folded", ["as it was written", "by another release"])
async def test_its_streams_say_what_they_said(name: str, database: Database, tmp_path: Path, folded: str):
    """Seen to catch: a `GrantRevoked` that is folded to nothing; a row of another fold that is believed."""
    if folded == "by another release":
        forget_rows(database)
    for realm, rows in REMEMBERED[name].rows.items():
        async with world(tmp_path, at=START, realm=realm) as now:
            for stream_id, facts in rows.items():
                category, _, key = stream_id.partition(":")
                found = await now.container.ledger().load(KINDS[category], key)
                told = {"version": found.version} | msgspec.json.decode(msgspec.json.encode(found.state))
                assert {fact: told[fact] for fact in facts} == facts, stream_id


@pytest.mark.parametrize("folded", ["as it was written", "by another release"])
@pytest.mark.parametrize(("name", "question"), cases("questions"))
async def test_a_question_is_answered_as_when_it_was_new(
    database: Database, question: Question, tmp_path: Path, folded: str
):
    """Seen to catch: tokens derived under another purpose; a standing of another fold believed."""
    if folded == "by another release":
        forget_rows(database)
    answer = await asked(tmp_path, question)
    assert answer.status_code == question.status, answer.text
    told = answer.json()
    assert {member: told.get(member) for member in question.answer} == question.answer


@pytest.mark.parametrize(("name", "sign_in"), cases("sign_ins"))
async def test_its_people_sign_in_as_they_did(tmp_path: Path, database: Database, sign_in: SignIn):
    """Seen to catch: a seal that covers the subject no more."""
    async with world(tmp_path, at=START) as now:
        try:
            session = await now.container.use_cases().sign_in(
                sign_in.email, sign_in.password, Caller(correlation_id="test")
            )
        except SignInRefused:
            assert sign_in.user_id is None
        else:
            assert session.session.user_id == sign_in.user_id


@pytest.mark.parametrize(
    ("name", "host_id"), [(name, host_id) for name in NAMES for host_id in REMEMBERED[name].host_users]
)
async def test_a_user_of_a_host_is_known_by_the_same_account(
    tmp_path: Path, database: Database, name: str, host_id: str
):
    async with world(tmp_path, at=START) as now:
        account = await now.container.use_cases().admit_host_user(host_id, Caller(correlation_id="test"))
    assert account.user_id == REMEMBERED[name].host_users[host_id]


async def test_the_script_still_writes_one_and_never_over_another(tmp_path: Path):
    await write(tmp_path / "today")
    written = msgspec.json.decode((tmp_path / "today" / "answers.json").read_bytes(), type=Remembered)
    assert set(written.tags["main"]) == EVENTS.keys(), "whoever adds an event adds it to the story"
    with pytest.raises(FileExistsError):
        await write(tmp_path / "today")
