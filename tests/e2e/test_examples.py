"""Every example, started by its one command, does what it says."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.oauth import Person, returned
from support.server import PASSWORD, free_port

pytestmark = pytest.mark.e2e
EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def running(name: str, directory: Path) -> Iterator[str]:
    """Start the example and yield its origin once it answers."""
    port = free_port()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GRANTLEDGER_")}
    environ |= {"GRANTLEDGER_PORT": str(port), "EXAMPLE_PASSWORD": PASSWORD}
    log = directory / "printed"  # not a log: it holds the password that the example prints for its user
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, EXAMPLES / name], cwd=directory, env=environ, stdout=out, stderr=out
        )
    try:
        give_up = time.monotonic() + 90
        while time.monotonic() < give_up and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        else:
            raise AssertionError(log.read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.parametrize("name", ["litestar_app.py", "starlette_app.py"])
async def test_a_host_application_issues_tokens_and_takes_them(name, tmp_path):
    with running(name, tmp_path) as origin:
        person = Person.at(origin)
        client = await person.register()
        tokens = await person.tokens(client["client_id"])
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        answer = await person.http.get("/mcp", headers=bearer, follow_redirects=True)
        refused = await person.http.get("/mcp", follow_redirects=True)
        home = await person.http.get("/")
        await person.http.aclose()
    assert answer.json()["client"] == client["client_id"]
    assert refused.status_code == 401
    assert home.text == "Hello from the host application."


async def test_the_mcp_server_tells_its_caller_who_it_is(tmp_path):
    with running("mcp_server.py", tmp_path) as origin:
        person = Person.at(origin)
        client = await person.register()
        tokens = await person.tokens(client["client_id"])
        session = (await person.session(tokens["access_token"])).json()
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "whoami", "arguments": {}},
        }
        headers = {
            "Authorization": f"Bearer {tokens['access_token']}",
            "Accept": "application/json, text/event-stream",
        }
        answer = await person.http.post("/mcp", json=call, headers=headers)
        await person.http.aclose()
    assert session["user_id"] in answer.text


async def test_users_of_the_host_sign_in_on_its_own_page(tmp_path):
    with running("own_sign_in.py", tmp_path) as origin:
        person = Person.at(origin)
        client = await person.register()
        page = await person.asked(client["client_id"])
        assert page.url.path == "/login"
        wrong = await person.http.post(page.url, data={"name": "grace", "password": "guessed"})
        assert "That did not work." in wrong.text
        signed_in = await person.http.post(page.url, data={"name": "grace", "password": PASSWORD})
        consent = await person.followed(signed_in)
        assert "grace" in consent.text
        code = returned(await person.post(consent, "consent", decision="allow"))["code"]
        tokens = (await person.redeem(client["client_id"], code)).json()
        session = await person.session(tokens["access_token"])
        await person.http.aclose()
    assert session.json()["client_id"] == client["client_id"]


def test_the_use_cases_work_without_http(tmp_path):
    command = [sys.executable, str(EXAMPLES / "without_http.py")]
    told = subprocess.check_output(command, cwd=tmp_path, text=True, timeout=60)
    assert told.splitlines()[-1] == "refused: ClientIsDisabled"
