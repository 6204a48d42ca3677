"""Probes: `/health/live` says that the event loop answers, `/health/ready` that requests can be answered."""

import asyncio
import json
from typing import Any

import pytest

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.http import health
from grantledger.adapters.http.health import LIVE, READY, with_health
from grantledger.application.ports import Unavailable


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Check:
    """Raises `why_not` if there is one; counts how often it is asked."""

    def __init__(self, why_not: Exception | None = None) -> None:
        self.why_not = why_not
        self.asked = 0

    async def __call__(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.why_not is not None:
            raise self.why_not


async def not_ours(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"not ours"})


async def probe(app: ASGIApp, path: str, method: str = "GET") -> tuple[int, bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a probe has no body")

    await app({"type": "http", "method": method, "path": path}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_a_server_that_can_answer_is_ready():
    status, body = await probe(with_health(not_ours, Check()), READY)
    assert (status, json.loads(body)) == (200, {"status": "ok"})


async def test_a_server_that_cannot_answer_is_alive_but_not_ready():
    app = with_health(not_ours, Check(Unavailable("no connection to db.internal as ada")))
    assert (await probe(app, LIVE))[0] == 200
    assert await probe(app, READY) == (503, b'{"status":"unavailable"}')


async def test_the_liveness_probe_does_not_ask_the_database():
    check = Check()
    await probe(with_health(not_ours, check), LIVE)
    assert check.asked == 0


async def test_probes_within_a_second_share_one_check(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "VALID_FOR", 3_600)
    check = Check(Unavailable("once"))
    app = with_health(not_ours, check)
    assert {status for status, _ in await asyncio.gather(*(probe(app, READY) for _ in range(20)))} == {503}
    assert check.asked == 1
    check.why_not = None
    monkeypatch.setattr(health, "VALID_FOR", 0)
    assert (await probe(app, READY))[0] == 200


async def test_a_check_that_does_not_end_is_a_refusal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "PATIENCE", 0.01)

    async def hang() -> None:
        await asyncio.Event().wait()

    assert (await probe(with_health(not_ours, hang), READY))[0] == 503


async def test_a_change_is_logged_once_with_its_reason(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(health, "VALID_FOR", 0)
    check = Check(Unavailable("the disk is full"))
    app = with_health(not_ours, check)
    await probe(app, READY)
    await probe(app, READY)
    check.why_not = None
    await probe(app, READY)
    assert [record.message for record in caplog.records] == ["not ready: the disk is full", "ready again"]


async def test_head_has_no_body():
    assert await probe(with_health(not_ours, Check()), READY, "HEAD") == (200, b"")


@pytest.mark.parametrize(
    ("path", "method"),
    [("/health", "GET"), ("/health/ready/", "GET"), ("/health/live", "POST"), ("/", "GET")],
)
async def test_everything_else_is_left_to_the_application(path: str, method: str):
    assert (await probe(with_health(not_ours, Check()), path, method))[0] == 404
