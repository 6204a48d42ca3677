"""`grantledger serve --workers`: several processes act as one server, and ended ones are replaced."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from grantledger.entrypoints.workers import START_FAILED
from support.oauth import Person
from support.processes import children, is_alive
from support.server import PUBLIC, Program, Server, cli, serving
from support.timeouts import TIMEOUT

pytestmark = pytest.mark.full

WORKERS = 2
SERVE = Program(("-m", "grantledger", "serve", "--workers", str(WORKERS)), {})


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("workers"), SERVE, **PUBLIC, log_format="json") as running:
        yield running


@pytest.fixture
async def person(server: Server) -> AsyncIterator[Person]:
    person = Person.at(server.origin)
    async with person.http:
        yield person


@pytest.fixture
async def everywhere(server: Server) -> AsyncIterator[list[Person]]:
    """One open connection to each worker. Each was accepted while the other workers were stopped."""
    workers = children(server.pid)
    people: list[Person] = []
    async with AsyncExitStack() as stack:
        for worker in workers:
            person = Person.at(server.origin)
            await stack.enter_async_context(person.http)
            with stopped([other for other in workers if other != worker]):
                await person.session("glat_x")
            people.append(person)
        yield people


@contextmanager
def stopped(workers: list[int]) -> Iterator[None]:
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


async def test_a_revocation_at_one_worker_is_seen_by_the_next_request_at_any(
    person: Person, everywhere: list[Person]
):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    assert {(await one.session(tokens["access_token"])).status_code for one in everywhere} == {200}
    await person.revoke(client, tokens["refresh_token"])
    assert {(await one.session(tokens["access_token"])).status_code for one in everywhere} == {401}


async def test_new_signing_keys_are_published_by_every_worker(server: Server, everywhere: list[Person]):
    done = cli("keys", "rotate", "--compromised", "--yes", cwd=server.database.parent, **server.settings)
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + TIMEOUT
    while True:
        published = [(await one.http.get("/jwks")).json()["keys"] for one in everywhere]
        if len({json.dumps(keys) for keys in published}) == 1 and published[0][0]["kid"] in done.stdout:
            break
        assert time.monotonic() < deadline, (done.stdout, published)


async def test_workers_do_not_mix_their_log_lines(server: Server, everywhere: list[Person]):
    for person in everywhere * 5:
        await person.session("glat_x")
    for line in server.log.splitlines():
        json.loads(line)


def test_a_worker_that_is_killed_is_started_again(server: Server):
    killed, *others = children(server.pid)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(children(server.pid)) == WORKERS and killed not in children(server.pid))
    assert set(others) < set(children(server.pid))
    assert httpx2.get(f"{server.origin}/jwks", timeout=TIMEOUT, verify=False).status_code == 200
    assert '"a worker has ended, another one starts"' in server.log


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Server]:
    """A server for a test that ends its workers."""
    with serving(tmp_path, SERVE, **PUBLIC) as running:
        yield running


def test_workers_end_when_their_parent_was_killed(alone: Server):
    workers = children(alone.pid)
    os.kill(alone.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, workers)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_workers_without_an_error(alone: Server, number: signal.Signals):
    workers = children(alone.pid)
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
