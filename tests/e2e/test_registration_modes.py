"""`registration = token` and `closed`: who may register, and what discovery says."""

from collections.abc import Iterator

import httpx2
import pytest

from grantledger.application.provenance import Caller
from support.leaks import issued
from support.oauth import error_of
from support.raw_http import client_metadata
from support.server import Server, serving
from support.timeouts import TIMEOUT

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("guarded"), registration="token") as running:
        yield running


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("closed"), registration="closed") as running:
        yield running


@pytest.fixture(scope="module")
async def token(guarded: Server) -> str:
    async with guarded.use_cases() as container:
        new = await container.use_cases().add_registration_token("ci", Caller(correlation_id="test"))
    issued("registration token", new.token)
    return new.token


async def register(server: Server, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=server.origin, timeout=TIMEOUT, verify=False) as http:
        return await http.post("/register", content=client_metadata(), headers=headers)


async def test_a_client_with_a_registration_token_registers(guarded: Server, token: str):
    assert (await register(guarded, authorization=f"Bearer {token}")).status_code == 201


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, "Bearer"),
        ({"authorization": "Bearer glrg_wrong"}, 'Bearer error="invalid_token"'),
        ({"authorization": "Bearer"}, 'Bearer error="invalid_token"'),
    ],
)
async def test_a_client_without_a_registration_token_is_challenged(
    guarded: Server, headers: dict[str, str], challenge: str
):
    answer = await register(guarded, **headers)
    assert error_of(answer) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == challenge


async def test_where_registration_is_closed_there_is_no_endpoint(closed: Server):
    assert error_of(await register(closed)) == (404, "not_found")


async def test_discovery_says_whether_clients_can_register(guarded: Server, closed: Server):
    found = []
    for server in (guarded, closed):
        async with httpx2.AsyncClient(base_url=server.origin, timeout=TIMEOUT, verify=False) as http:
            found.append("registration_endpoint" in (await http.get(AUTHORIZATION_SERVER)).json())
    assert found == [True, False]
