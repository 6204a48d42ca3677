"""`grantledger serve --workers`: several processes act as one server, and ended ones are replaced."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from grantledger.entrypoints.workers import START_FAILED
from support.oauth import Person
from support.processes import children, is_alive, wait_until
from support.server import PUBLIC, Program, Server, cli, serving
from support.timeouts import TIMEOUT

pytestmark = pytest.mark.full

WORKERS = 2
SERVE = Program(("-m", "grantledger", "serve", "--workers", str(WORKERS)), {})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("workers"), SERVE, **PUBLIC, log_format="json") as running:
        yield running


@pytest.fixture
async def person(server: Server) -> AsyncIterator[Person]:
    person = Person.at(server.origin)
    async with person.http:
        yield person


def workers_of(server: Server) -> list[int]:
    wait_until(lambda: len(children(server.pid)) == WORKERS)
    return children(server.pid)


@contextmanager
def stopped(workers: list[int]) -> Iterator[None]:
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


async def from_each(
    server: Server, ask: Callable[[Person], Awaitable[httpx2.Response]]
) -> list[httpx2.Response]:
    """Ask each worker, over a connection that it accepts while the other workers are stopped."""
    workers, answers = workers_of(server), []
    for worker in workers:
        person = Person.at(server.origin)
        async with person.http:
            with stopped([other for other in workers if other != worker]):
                answers.append(await ask(person))
    return answers


def look_up_nothing(visitor: Person) -> Awaitable[httpx2.Response]:
    return visitor.session("glat_x")


async def test_a_revocation_at_one_worker_is_seen_by_the_next_request_at_any(server: Server, person: Person):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)

    def look_up(visitor: Person) -> Awaitable[httpx2.Response]:
        return visitor.session(tokens["access_token"])

    assert [answer.status_code for answer in await from_each(server, look_up)] == [200] * WORKERS
    await person.revoke(client, tokens["refresh_token"])
    assert [answer.status_code for answer in await from_each(server, look_up)] == [401] * WORKERS


async def test_new_signing_keys_are_published_by_every_worker(server: Server):
    done = cli("keys", "rotate", "--compromised", "--yes", cwd=server.database.parent, **server.settings)
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + TIMEOUT
    while True:
        answers = await from_each(server, lambda visitor: visitor.http.get("/jwks"))
        published = [answer.json()["keys"] for answer in answers]
        if len({json.dumps(keys) for keys in published}) == 1 and published[0][0]["kid"] in done.stdout:
            break
        assert time.monotonic() < deadline, (done.stdout, published)


REQUESTS = 40


async def test_workers_do_not_mix_their_log_lines(server: Server, person: Person):
    before = server.log.count('"route":"/session"')
    await asyncio.gather(*(person.session("glat_x") for _ in range(REQUESTS)))
    # The lines are written just after the answers, and the last one may be half written.
    wait_until(lambda: server.log.count('"route":"/session"') >= before + REQUESTS)
    for line in server.log.rpartition("\n")[0].splitlines():
        json.loads(line)


async def test_a_worker_that_is_killed_is_started_again(server: Server, person: Person):
    await from_each(server, look_up_nothing)  # a worker that ends before all have started ends the server
    killed, *others = workers_of(server)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(children(server.pid)) == WORKERS and killed not in children(server.pid))
    assert set(others) < set(children(server.pid))
    assert (await person.http.get("/jwks")).status_code == 200
    assert '"a worker has ended, another one starts"' in server.log


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Server]:
    """A server for a test that ends its workers."""
    with serving(tmp_path, SERVE, **PUBLIC) as running:
        yield running


def test_workers_end_when_their_parent_was_killed(alone: Server):
    workers = workers_of(alone)
    os.kill(alone.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, workers)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all_workers_without_an_error(alone: Server, number: signal.Signals):
    await from_each(alone, look_up_nothing)  # all have started
    workers = workers_of(alone)
    os.kill(alone.pid, number)
    wait_until(lambda: not any(map(is_alive, [alone.pid, *workers])))
    assert "rror" not in alone.log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_reported_before_a_worker_starts(tmp_path: Path, workers: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = cli("serve", "--workers", workers, cwd=tmp_path, port=port, **PUBLIC)
    assert done.returncode == 1
    assert "Grantledger serves" not in done.stderr
    assert f"port {port} cannot be used at 127.0.0.1" in done.stderr


START = """
import os, sys, time
from grantledger.entrypoints.workers import Workers

def serve(parent):
    try:
        os.mkdir(sys.argv[1])
    except FileExistsError:
        time.sleep(600)
    return 7

sys.exit(Workers(2, serve).run())
"""


def test_if_one_worker_cannot_start_the_server_ends(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", START, tmp_path / "first"], timeout=TIMEOUT, capture_output=True, check=False
    )
    assert done.returncode == 7


SIGNALLED = """
import os, signal, sys, time
from grantledger.entrypoints.workers import Workers

fork = os.fork

def signalled_fork():
    pid = fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGTERM)
    return pid

os.fork = signalled_fork
sys.exit(Workers(1, lambda parent: time.sleep(600)).run())
"""


def test_a_signal_to_a_worker_that_was_just_forked_ends_it_and_not_its_parent():
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED], timeout=TIMEOUT, capture_output=True, check=False
    )
    assert done.returncode == START_FAILED
