"""Limits on the time of requests and responses, and on the number of connections."""

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from support.raw_http import RawAnswer, answer_to, connected, post, received
from support.server import Server, serving
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = [pytest.mark.full, once("is about connections that never reach the store")]

FORM = "application/x-www-form-urlencoded"
DISCOVERY = "/.well-known/oauth-authorization-server"

# Time


@pytest.fixture(scope="module")
def greedy(server: Server) -> Iterator[select.epoll]:
    """Send many requests and read no response; yield a poll that reports the end of the connection."""
    with socket.socket() as connection, select.epoll() as ended:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        url = urlsplit(server.origin)
        connection.connect((url.hostname, url.port))
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(2_000):
                connection.send(b"GET /authorize/assets/page.css HTTP/1.1\r\nhost: x\r\n\r\n")
        ended.register(connection, select.EPOLLHUP | select.EPOLLERR)
        yield ended


@pytest.fixture(scope="module")
def slow_answers(server: Server, greedy: select.epoll) -> dict[str, RawAnswer | None]:
    """Begin three requests, end none of them, and wait for all answers at once."""
    begun = {
        "nothing": b"",
        "half a head": b"GET / HTTP/1.1\r\nhost:",
        "half a body": post("/token", b"x" * 100, kind=FORM)[:-50],
    }
    with ExitStack() as stack:
        waiting = {name: stack.enter_context(connected(server.origin)) for name in begun}
        for name, connection in waiting.items():
            connection.sendall(begun[name])
        return {name: received(connection) for name, connection in waiting.items()}


@pytest.mark.parametrize("begun", ["nothing", "half a head", "half a body"])
def test_a_request_that_does_not_arrive_is_408(slow_answers: dict[str, RawAnswer | None], begun: str):
    answer = slow_answers[begun]
    assert answer is not None
    assert answer.error == (408, "invalid_request")


def test_a_client_that_reads_no_responses_is_disconnected(greedy: select.epoll):
    """Fails if such a client can occupy a connection forever."""
    assert greedy.poll(timeout=TIMEOUT) != []


# Connections


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("narrow"), max_connections="2") as running:
        yield running


def test_one_connection_too_many_is_503_with_retry_after(narrow: Server):
    """Repeated until it succeeds: the server may still count a closed connection, or close an idle one."""
    request = f"GET {DISCOVERY} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    answers: list[RawAnswer | None] = []
    give_up = time.monotonic() + TIMEOUT
    while [one and one.status for one in answers] != [200, 200, 503] and time.monotonic() < give_up:
        with ExitStack() as stack:
            connections = [stack.enter_context(connected(narrow.origin)) for _ in range(3)]
            answers = [answer_to(connection, [request]) for connection in connections]
    *served, refused = answers
    assert [answer.status for answer in served if answer] == [200, 200]
    assert refused is not None
    assert refused.error == (503, "temporarily_unavailable")
    assert refused.headers["retry-after"] == "1"
