"""A ledger that an older release wrote, and the server of this release on it, at a moment of its day."""

import hashlib
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from msgspec import Struct

from fakes.clock import FrozenClock
from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.server import create_app, server_open
from grantledger.entrypoints.settings_sources import load_settings
from support.oauth import Person

LEDGERS = Path(__file__).parents[1] / "fixtures" / "ledgers"
ORIGIN = "http://127.0.0.1:8000"
NOTES, MAIL = f"{ORIGIN}/mcp", "https://mail.example/mcp"
SETTINGS = {
    "resources": f"""[
        {{"identifier": "{NOTES}", "name": "Notes", "scopes": ["notes:read", "notes:write"]}},
        {{"identifier": "{MAIL}", "name": "Mail", "scopes": ["mail:read"]}}
    ]"""
}
_ENVELOPE = """position, realm, category, stream_id, version, tag, event_id, append_id, causation_id,
    recorded_at, actor_kind, actor_id, client_id, correlation_id, trace_id, address_digest, codec, data"""


class Question(Struct, frozen=True, kw_only=True):
    """A request at a time, and what was answered when the ledger was new."""

    name: str
    at: int
    path: str
    form: dict[str, str] | None = None
    bearer: str | None = None
    settings: dict[str, str] = {}
    status: int
    answer: dict[str, Any] = {}


class SignIn(Struct, frozen=True, kw_only=True):
    """Who signs in with an address and a password that are sealed beside the log; None: refused."""

    email: str
    password: str
    user_id: str | None


class Remembered(Struct, frozen=True, kw_only=True):
    """What `answers.json` holds.

    `rows`: what must be true of each stream, by realm and stream id. `host_users`: by the host's own id.
    """

    digest_of_log: str
    tags: dict[str, list[str]]
    rows: dict[str, dict[str, dict[str, Any]]]
    sign_ins: list[SignIn]
    host_users: dict[str, str] = {}
    questions: list[Question]


class World(Struct):
    """A server in this process, at a time that stands still."""

    clock: FrozenClock
    container: Container
    person: Person


def copied(name: str, directory: Path) -> Path:
    """Copy the ledger and its master secret, for a test to write in; return the database."""
    for file in ("ledger.sqlite3", "secrets"):
        shutil.copy(LEDGERS / name / file, directory / file)
        (directory / file).chmod(stat.S_IRUSR | stat.S_IWUSR)
    return directory / "ledger.sqlite3"


@asynccontextmanager
async def world(directory: Path, *, at: int, **settings: str) -> AsyncIterator[World]:
    """Open the ledger of the directory as `serve` does, migrations and all."""
    given = SETTINGS | settings
    given |= {"database": f"{directory}/ledger.sqlite3", "master_secret_file": f"{directory}/secrets"}
    variables = {f"GRANTLEDGER_{key.upper()}": value for key, value in given.items()}
    container, clock = Container(load_settings(None, variables, {})), FrozenClock(at)
    container.clock.override(clock)
    container.ledger.add_kwargs(now=lambda: clock.now() * 1_000_000)
    app: Any = create_app(container)
    async with (
        server_open(container),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ORIGIN) as http,
    ):
        yield World(clock, container, Person(ORIGIN, http))


async def asked(directory: Path, question: Question) -> httpx2.Response:
    """Put the question to the server of this release."""
    async with world(directory, at=question.at, **question.settings) as now:
        headers = {"authorization": f"Bearer {question.bearer}"} if question.bearer else {}
        method = "GET" if question.form is None else "POST"
        return await now.person.http.request(method, question.path, data=question.form, headers=headers)


def digest_of_log(database: Path) -> str:
    """Return a digest over every byte that was stored of every event and its envelope."""
    with closing(sqlite3.connect(database)) as connection:
        lines = connection.execute(f"SELECT {_ENVELOPE} FROM events ORDER BY position").fetchall()
    return hashlib.sha256(msgspec.json.encode(lines)).hexdigest()
