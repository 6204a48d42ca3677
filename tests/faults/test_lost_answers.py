"""Commits that fail, or whose answer is lost, and appends that take too long, as a client sees them."""

import asyncio
import ctypes
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest
from dependency_injector import providers
from msgspec import Struct

from adapters.ledger.storage import WatchedDatabase, WatchedSqlite, a_database, rows_of, writers_held_up
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.server import create_app, server_open
from grantledger.entrypoints.settings_sources import load_settings
from support.oauth import Person, error_of
from support.server import EMAIL, PASSWORD
from support.stores import IN_POSTGRESQL, STORE, ledger_at, ledger_settings, once
from support.timeouts import TIMEOUT
from support.witness import contradictions

# The handlers declare their path parameters in a style that Litestar has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")

OUTAGE = (503, "temporarily_unavailable")
MOMENT = 0.2
"""Seconds after which an impatient server gives up an append."""


class Scene(Struct, frozen=True):
    """The whole server in this process, on a database whose commits can be disturbed."""

    database: WatchedDatabase
    ledger: EventLedger
    ada: Person

    def give_up_after(self, seconds: float) -> None:
        """Change the time for an append. It is short only where one must time out: a disk may be slow."""
        self.ledger._timeout = seconds  # noqa: SLF001 - a server cannot change it while it runs

    def events(self, tag: str) -> int:
        ((count,),) = rows_of(self.database, "SELECT count(*) FROM events WHERE tag = ?", tag)
        return int(count)


@asynccontextmanager
async def hosted(directory: Path) -> AsyncIterator[Scene]:
    with a_database(STORE) as database:
        settings = ledger_settings(directory, database=database.address)
        container = Container(load_settings(None, {}, settings))
        container.database.override(providers.Object(database))
        container.ledger.add_kwargs(timeout=TIMEOUT)
        async with server_open(container):
            await container.use_cases().open_account(EMAIL, PASSWORD, Caller(correlation_id="test"))
            transport = httpx2.ASGITransport(create_app(container))
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
                ada = Person("http://127.0.0.1:8000", http)
                await ada.sign_in(await ada.asked((await ada.register())["client_id"]))
                yield Scene(database, container.ledger(), ada)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with hosted(tmp_path) as scene:
        yield scene


@asynccontextmanager
async def held_up(database: WatchedDatabase) -> AsyncIterator[None]:
    """Take the lock on another thread: the writer of this process may hold it, and needs the event loop."""
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, writers_held_up(database))
        yield


def fail() -> None:
    if IN_POSTGRESQL:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    raise sqlite3.OperationalError("disk I/O error")


def now_and_then(disturb: Callable[[], None], seed: int) -> Callable[[], None]:
    dice = random.Random(seed)

    def disturbed() -> None:
        if dice.random() < 0.4:
            disturb()

    return disturbed


async def test_a_client_does_not_notice_that_every_commits_answer_is_lost(scene: Scene) -> None:
    scene.database.after_commit = fail
    client = (await scene.ada.register())["client_id"]
    tokens = await scene.ada.tokens(client)
    refreshed = await scene.ada.refresh(client, tokens["refresh_token"])
    assert refreshed.status_code == 200
    assert (await scene.ada.revoke(client, refreshed.json()["refresh_token"])).status_code == 200
    assert (await scene.ada.session(tokens["access_token"])).status_code == 401


async def test_a_redemption_whose_commits_answer_is_lost_is_no_replay(scene: Scene) -> None:
    client = (await scene.ada.register())["client_id"]
    code = await scene.ada.code(client)
    scene.database.after_commit = fail
    assert (await scene.ada.redeem(client, code)).status_code == 200
    assert scene.events("authorization_code.replayed.v1") == 0


async def test_a_code_whose_commit_failed_is_good_for_the_next_attempt(scene: Scene) -> None:
    client = (await scene.ada.register())["client_id"]
    code = await scene.ada.code(client)
    scene.database.before_commit = fail
    assert error_of(await scene.ada.redeem(client, code)) == OUTAGE
    scene.database.before_commit = lambda: None
    assert (await scene.ada.redeem(client, code)).status_code == 200


async def patiently(request: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    """Try again as long as the server says to come back."""
    answer = await request()
    while answer.status_code == 503:
        answer = await request()
    return answer


@pytest.mark.parametrize("seed", range(3))
async def test_a_request_retried_after_each_503_is_done_once(scene: Scene, seed: int) -> None:
    client = (await scene.ada.register())["client_id"]
    codes = [await scene.ada.code(client) for _ in range(20)]
    scene.database.before_commit = now_and_then(fail, seed)
    scene.database.after_commit = now_and_then(fail, seed + 1_000)

    async def all_of_it(code: str) -> list[int]:
        redeemed = await patiently(lambda: scene.ada.redeem(client, code))
        refresh_token = redeemed.json()["refresh_token"]
        refreshed = await patiently(lambda: scene.ada.refresh(client, refresh_token))
        return [redeemed.status_code, refreshed.status_code]

    statuses = await asyncio.gather(*(all_of_it(code) for code in codes))
    assert statuses == [[200, 200]] * len(codes)
    assert scene.events("token_grant.opened.v1") == len(codes)
    assert scene.events("token_grant.refreshed.v1") == len(codes)
    assert contradictions(ledger_at(scene.database.address)) == []


async def test_a_request_that_times_out_in_the_queue_is_refused_and_not_done(scene: Scene) -> None:
    client = (await scene.ada.register())["client_id"]
    code = await scene.ada.code(client)
    scene.give_up_after(MOMENT)
    async with held_up(scene.database):
        assert error_of(await scene.ada.redeem(client, code)) == OUTAGE
    scene.give_up_after(TIMEOUT)
    assert (await scene.ada.redeem(client, code)).status_code == 200


async def test_reads_do_not_wait_for_the_writer(scene: Scene) -> None:
    client = (await scene.ada.register())["client_id"]
    tokens = await scene.ada.tokens(client)
    async with held_up(scene.database):
        before = scene.database.came_to_queue
        waiting = asyncio.create_task(scene.ada.refresh(client, tokens["refresh_token"]))
        while scene.database.came_to_queue == before:  # noqa: ASYNC110 - the writer sets no event of ours
            await asyncio.sleep(0.001)
        assert (await scene.ada.session(tokens["access_token"])).status_code == 200
    await waiting


async def test_a_hanging_commit_ends_in_503(scene: Scene) -> None:
    client = (await scene.ada.register())["client_id"]
    token = (await scene.ada.tokens(client))["refresh_token"]
    scene.give_up_after(MOMENT)
    with commits_hanging(scene):
        answers = await asyncio.gather(*(scene.ada.refresh(client, token) for _ in range(5)))
    scene.give_up_after(TIMEOUT)
    assert {error_of(answer) for answer in answers} == {OUTAGE}


async def test_a_refresh_that_timed_out_but_was_recorded_is_not_repeated(scene: Scene) -> None:
    client = (await scene.ada.register())["client_id"]
    token = (await scene.ada.tokens(client))["refresh_token"]
    scene.give_up_after(MOMENT)
    with commits_hanging(scene):
        assert error_of(await scene.ada.refresh(client, token)) == OUTAGE
    scene.give_up_after(TIMEOUT)
    answer = await patiently(lambda: scene.ada.refresh(client, token))
    assert answer.status_code == 200
    assert scene.events("token_grant.refreshed.v1") == 1


@once("writes to PostgreSQL have no thread")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dead_writer_thread_ends_in_503(scene: Scene) -> None:
    client = (await scene.ada.register())["client_id"]
    tokens = await scene.ada.tokens(client)
    scene.give_up_after(MOMENT)  # until the server has closed: otherwise closing waits for the thread
    _end_thread(scene.database)
    answers = await asyncio.gather(*(scene.ada.refresh(client, tokens["refresh_token"]) for _ in range(5)))
    assert {error_of(answer) for answer in answers} == {OUTAGE}
    assert (await scene.ada.session(tokens["access_token"])).status_code == 200


@contextmanager
def commits_hanging(scene: Scene) -> Iterator[None]:
    over = threading.Event()
    scene.database.before_commit = lambda: _wait(over)
    try:
        yield
    finally:
        over.set()


def _wait(event: threading.Event) -> None:
    event.wait(TIMEOUT)


def _end_thread(database: WatchedDatabase) -> None:
    """Raise SystemExit in the database's thread as soon as it runs again."""
    assert isinstance(database, WatchedSqlite)
    assert database.thread is not None
    assert database.thread.ident
    raised = ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(database.thread.ident), ctypes.py_object(SystemExit)
    )
    assert raised == 1
