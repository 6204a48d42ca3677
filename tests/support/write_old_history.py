"""Writes a ledger to be kept: `.venv/bin/python tests/support/write_old_history.py NAME`.

What stands in `tests/fixtures/ledgers` is never written again: a later release gets a NAME of its own.
`first` is from the code of November 2026, before any event had a second version; `second` from later that
month, with the events of operators, passwords, disconnected apps, signing keys and master secrets.

Every event of its day happens over HTTP or by a use case, at times that the script decides: whoever adds an
event adds it to the story. Then each question is put to a copy, and its answer kept; `status` is what the
author of the story expects.
"""

import asyncio
import base64
import hashlib
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1]))

from grantledger.adapters.ledger.projection import state_of
from grantledger.adapters.ledger.schema import ROWS
from grantledger.domain.kinds import EVENTS
from support import old_history_operators as later
from support.old_history import LEDGERS, Question, Remembered, asked, digest_of_log, world
from support.old_history_story import (
    CALLER,
    START,
    Writing,
    clients,
    codes,
    elsewhere,
    live_grants,
    people,
    revocations,
)
from support.server import EMAIL, PASSWORD

FACTS = {
    "client": ("registration", "disabled", "deleted", "approved"),
    "code": ("client_id", "user_id", "grant_id", "replayed"),
    "grant": ("client_id", "user_id", "pairs", "generation", "access_revoked_through", "revoked"),
    "consent": ("client_id", "user_id", "allowed"),
    "user": ("disabled", "session_epoch"),
    "signin": ("user_id", "signed_out"),
    "keys": ("keys",),
    "secrets": ("secrets", "sealing"),
}
"""What must stay true of a stream, in the words of this day."""


async def write_story(directory: Path, writing: Writing) -> None:
    async with world(directory, at=START) as now:
        await now.container.use_cases().open_account(EMAIL, PASSWORD, CALLER)
        for chapter in (live_grants, codes, revocations, clients, people, *later.CHAPTERS):
            await chapter(now, writing)
    for restarted in (later.rotation, later.after_rotation):
        async with world(directory, at=START + 4_000) as now:
            await restarted(now, writing)
    await elsewhere(directory, writing)


async def answered(directory: Path, question: Question) -> Question:
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(directory, copy, dirs_exist_ok=True)
        answer = await asked(Path(copy), question)
    assert answer.status_code == question.status, (question.name, answer.status_code, answer.text)
    body = answer.json()
    told = {"error": body["error"]} if "error" in body else body
    if question.form and question.form["grant_type"] == "authorization_code":
        told = {name: value for name, value in told.items() if not name.endswith("_token")}
    return replace(question, answer=told)


def rows_of(connection: sqlite3.Connection) -> dict[str, dict[str, dict[str, Any]]]:
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for category, table in ROWS.items():
        for realm, key, version, state in connection.execute(
            f"SELECT realm, key, version, state FROM {table.name} ORDER BY realm, key"
        ):
            facts = msgspec.to_builtins(state_of(category, state))
            told = {name: facts[name] for name in FACTS[category]}
            rows.setdefault(realm, {})[f"{category}:{key}"] = {"version": version} | told
    return rows


async def write(directory: Path) -> None:
    """Write ledger, secrets and answers into the directory, which must not be there."""
    directory.mkdir(parents=True)
    secret = base64.b64encode(hashlib.sha256(directory.name.encode()).digest()).decode()
    (directory / "secrets").touch(0o600)
    (directory / "secrets").write_text(f"{secret}\n")
    writing = Writing()
    await write_story(directory, writing)
    database = directory / "ledger.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
        tags: dict[str, list[str]] = {}
        for realm, tag in connection.execute("SELECT realm, tag FROM events ORDER BY position"):
            tags.setdefault(realm, []).append(tag)
        assert set(tags["main"]) == EVENTS.keys(), "the story leaves an event out"
        remembered = Remembered(
            digest_of_log=digest_of_log(database),
            tags=tags,
            rows=rows_of(connection),
            sign_ins=writing.sign_ins,
            host_users=writing.host_users,
            questions=[await answered(directory, question) for question in writing.questions],
        )
    (directory / "ledger.sqlite3.lock").unlink()
    text = msgspec.json.format(msgspec.json.encode(remembered)).decode()
    (directory / "answers.json").write_text(f"{text}\n")


if __name__ == "__main__":
    asyncio.run(write(LEDGERS / sys.argv[1]))
