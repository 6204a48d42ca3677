"""A ledger with streams of every kind in many states, for tests of the commands to read and write.

It is written once per process, by the server's own use cases and pages, and copied for each test.
"""

import asyncio
import atexit
import base64
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from eventsourcing.persistence import StoredEvent
from msgspec import Struct

from fakes.clock import FrozenClock
from grantledger.adapters.ledger.recorder import Entry, Recorder, TagMapper
from grantledger.application.provenance import Caller
from grantledger.domain.token_grant import GrantRevoked
from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.server import create_app, server_open
from grantledger.entrypoints.settings_sources import load_settings
from support.oauth import Person, returned
from support.quick_hasher import QuickHasher
from support.server import EMAIL, PASSWORD

DAY = 86_400
START = (int(time.time()) // DAY - 2) * DAY
"""Midnight, two days ago: by now the codes have expired, and the grants have not."""

ORIGIN = "http://127.0.0.1:8000"
NOTES, MAIL = f"{ORIGIN}/mcp", "https://mail.example/mcp"
RESOURCES = f"""[
    {{"identifier": "{NOTES}", "name": "Notes", "scopes": ["notes:read", "notes:write"]}},
    {{"identifier": "{MAIL}", "name": "Mail", "scopes": ["mail:read"]}}
]"""
BOTH = "openid notes:read notes:write"
CALLER = Caller(correlation_id="story", trace_id="trace", address="203.0.113.7")


class World(Struct):
    """A server in this process, at a time that moves only when the story says so."""

    clock: FrozenClock
    container: Container
    person: Person

    async def client(self, name: str, **metadata: Any) -> str:
        return str((await self.person.register(client_name=name, **metadata))["client_id"])

    async def refreshed(
        self, client: str, tokens: dict[str, Any], *, after: int, **form: str
    ) -> dict[str, Any]:
        """Refresh `after` seconds after the start."""
        self.clock.advance(START + after - self.clock.now())
        answer = await self.person.refresh(client, tokens["refresh_token"], **form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def copied(directory: Path) -> Path:
    """Copy the ledger and the file `secrets` with its master secret; return the database."""
    for file in ("ledger.sqlite3", "secrets"):
        shutil.copy(_written() / file, directory / file)
        (directory / file).chmod(stat.S_IRUSR | stat.S_IWUSR)
    return directory / "ledger.sqlite3"


@cache
def _written() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="grantledger-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    (directory / "secrets").touch(0o600)
    (directory / "secrets").write_text(f"{base64.b64encode(bytes(range(32))).decode()}\n")
    _in_a_thread(_write(directory))
    with closing(sqlite3.connect(directory / "ledger.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    return directory


def _in_a_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run it on a thread of its own, because the test may already run an event loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@asynccontextmanager
async def _world(directory: Path, **settings: str) -> AsyncIterator[World]:
    given = {"resources": RESOURCES, "database": f"{directory}/ledger.sqlite3"} | settings
    given["master_secret_file"] = f"{directory}/secrets"
    variables = {f"GRANTLEDGER_{key.upper()}": value for key, value in given.items()}
    container, clock = Container(load_settings(None, variables, {})), FrozenClock(START)
    container.clock.override(clock)
    container.hasher.override(QuickHasher())
    container.ledger.add_kwargs(now=lambda: clock.now() * 1_000_000)
    app: Any = create_app(container)
    async with (
        server_open(container),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ORIGIN) as http,
    ):
        await container.use_cases().open_account(EMAIL, PASSWORD, CALLER)
        yield World(clock, container, Person(ORIGIN, http))


async def _write(directory: Path) -> None:
    async with _world(directory) as now:
        for chapter in (_live_grants, _codes, _revocations, _clients, _people):
            await chapter(now)
    async with _world(directory, realm="elsewhere", grant_expires_in="4000") as now:
        client = await now.client("Editor")
        await now.refreshed(client, await now.person.tokens(client), after=3_000)
        _recorder(now).insert_events([StoredEvent(uuid4(), 1, "foreign", b"{}")])


async def _live_grants(now: World) -> None:
    editor = await now.client("Editor")
    await now.person.tokens(editor)
    zero = await now.person.tokens(editor, scope=BOTH, resource=NOTES)
    one = await now.refreshed(editor, zero, after=100)
    await now.refreshed(editor, one, after=200, scope="notes:read")
    await now.person.tokens(editor, scope="openid mail:read", resource=MAIL)


async def _codes(now: World) -> None:
    viewer = await now.client("Viewer")
    code = await now.person.code(viewer, scope=BOTH)
    assert (await now.person.redeem(viewer, code)).status_code == 200
    assert (await now.person.redeem(viewer, code)).status_code == 400
    await now.person.code(viewer, scope="openid", state="another")


async def _revocations(now: World) -> None:
    person, client = now.person, await now.client("Reviser")
    reused = await person.tokens(client, scope=BOTH)
    await now.refreshed(client, reused, after=300)
    now.clock.advance(61)
    assert (await person.refresh(client, reused["refresh_token"])).status_code == 400
    zero = await person.tokens(client, scope=BOTH)
    one = await now.refreshed(client, zero, after=400)
    await now.refreshed(client, one, after=401)
    await person.revoke(client, one["access_token"])
    revoked = await person.tokens(client, scope=BOTH)
    await person.revoke(client, revoked["refresh_token"])
    by_tool = await person.tokens(client, scope=BOTH)
    session = await now.container.use_cases().look_up_session(by_tool["access_token"])
    event = GrantRevoked(reason="by a tool", revoked_at=now.clock.now())
    entry = Entry(f"grant:{session.grant_id}", 2, event)
    _recorder(now).insert_events([TagMapper().to_stored_event(entry)])


async def _clients(now: World) -> None:
    use_cases = now.container.use_cases()
    disabled = await now.client("Disabled")
    await now.person.tokens(disabled, scope=BOTH)
    await use_cases.disable_client(disabled, CALLER)
    reborn = await now.client("Reborn")
    await now.person.tokens(reborn, scope=BOTH)
    await use_cases.delete_client(reborn, CALLER)
    assert await now.client("Reborn") == reborn
    await now.person.tokens(reborn, scope=BOTH)
    deleted = await now.client("Deleted")
    await now.person.tokens(deleted, scope=BOTH)
    await use_cases.delete_client(deleted, CALLER)
    await now.person.register(client_name="Robot", token_endpoint_auth_method="client_secret_post")


async def _people(now: World) -> None:
    use_cases, client = now.container.use_cases(), await now.client("Calendar")
    user = ""
    for name in ("bob", "eve"):
        email = f"{name}@example.com"
        user = await use_cases.open_account(email, PASSWORD, CALLER)
        now.person.http.cookies.clear()
        page = await now.person.sign_in(await now.person.asked(client, scope=BOTH), email=email)
        code = returned(await now.person.submit(page, "consent", decision="allow"))["code"]
        assert (await now.person.redeem(client, code)).status_code == 200
    signed_in = await use_cases.sign_in("bob@example.com", PASSWORD, CALLER)
    await use_cases.sign_out(signed_in.session, CALLER)
    await use_cases.disable_user(user, CALLER)


def _recorder(now: World) -> Recorder:
    return Recorder(now.container.database(), now.container.settings.realm)
