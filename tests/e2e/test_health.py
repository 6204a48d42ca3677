"""The probes of a running server."""

import asyncio
import time

import httpx2
import pytest

from support.oauth import Person
from support.server import Server
from support.stores import asked
from support.timeouts import TIMEOUT


async def comes(person: Person, status: int) -> httpx2.Response:
    """Probe until the answer has this status. The result of a check is reused for a second."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        answer = await person.http.get("/health/ready")
        if answer.status_code == status:
            return answer
        assert time.monotonic() < deadline, f"no answer with {status}"
        await asyncio.sleep(0.05)


@pytest.mark.full
async def test_a_server_is_ready_except_while_its_ledger_cannot_be_read(server: Server, person: Person):
    assert (await comes(person, 200)).json() == {"status": "ok"}
    asked(server.ledger, "ALTER TABLE alembic_version RENAME TO away")
    try:
        assert (await comes(person, 503)).json() == {"status": "unavailable"}
        assert (await person.http.get("/health/live")).status_code == 200
    finally:
        asked(server.ledger, "ALTER TABLE away RENAME TO alembic_version")
    await comes(person, 200)
    assert "not ready" in server.log


async def test_probes_are_not_logged(person: Person):
    """Every line of the log has the id that its response has."""
    logged = await person.http.get("/.well-known/oauth-authorization-server")
    assert "x-request-id" in logged.headers
    assert "x-request-id" not in (await person.http.get("/health/live")).headers
