"""The signing keys are made once, published, and rotated while servers run."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from support.oauth import Person
from support.server import Server, cli, serving
from support.timeouts import TIMEOUT


def jwks(server: Server) -> list[dict[str, str]]:
    answer = httpx2.get(f"{server.origin}/jwks", timeout=TIMEOUT, verify=False)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["keys"])


async def test_jwks_holds_public_members_and_nothing_else(person: Person):
    keys = (await person.http.get("/jwks")).json()["keys"]
    assert [set(key) for key in keys] == [{"kty", "use", "alg", "kid", "crv", "x", "y"}] * 2


async def test_jwks_is_json_that_may_be_kept_for_five_minutes(person: Person):
    answer = await person.http.get("/jwks")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"


async def test_scripts_of_any_origin_may_read_jwks(person: Person):
    answer = await person.http.get("/jwks", headers={"origin": "https://client.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_jwks_answers_head_and_refuses_post(person: Person):
    assert (await person.http.head("/jwks")).status_code == 200
    assert (await person.http.post("/jwks")).status_code == 405


@pytest.fixture(scope="module")
def rotating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("rotating")) as running:
        yield running


def keys(server: Server, *arguments: str) -> tuple[int, str, str]:
    done = cli("keys", *arguments, cwd=server.database.parent, **server.settings)
    return done.returncode, done.stdout, " ".join(done.stderr.replace("│", " ").split())


def test_a_running_server_shows_a_rotation_at_once(rotating: Server):
    before = jwks(rotating)
    code, said, complaint = keys(rotating, "rotate", "--compromised", "--yes", "--json")
    assert code == 0, complaint
    following, active, *withdrawn = [json.loads(line) for line in said.splitlines()]
    assert [key["kid"] for key in jwks(rotating)] == [active["kid"], following["kid"]]
    assert {key["kid"] for key in withdrawn} >= {key["kid"] for key in before}


def test_a_restart_keeps_the_keys(rotating: Server):
    with serving(rotating.database.parent) as again:
        assert jwks(again) == jwks(rotating)


def test_private_keys_are_not_in_the_file_in_clear(rotating: Server):
    assert b'"d":"' not in rotating.written()
    assert b'\\"d\\"' not in rotating.written()
