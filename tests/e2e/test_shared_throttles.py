"""Limits hold for all servers of a database together."""

import asyncio
from collections.abc import Iterator

import pytest

from support.oauth import Person, basic
from support.replicas import replicas
from support.server import Server
from support.timeouts import TIMEOUT

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with replicas(tmp_path_factory.mktemp("limits"), 2, client_secret_attempts="3/hour") as running:
        yield running


async def test_guesses_at_one_server_count_at_the_other(servers: list[Server]):
    here, there = (Person.at(server.origin) for server in servers)
    async with here.http, there.http:
        client = await here.register(token_endpoint_auth_method="client_secret_basic")
        right = basic(client["client_id"], client["client_secret"])
        for _ in range(3):
            await revoke(here, basic(client["client_id"], "glcs_wrong"))
        async with asyncio.timeout(TIMEOUT):
            # The right secret does not count as a guess, so it can be sent until the other server refuses it.
            while await revoke(there, right) != 429:  # noqa: ASYNC110 - a server in another process cannot set an event
                await asyncio.sleep(0.1)


async def revoke(person: Person, headers: dict[str, str]) -> int:
    return (await person.http.post("/revoke", data={"token": "glrt_x"}, headers=headers)).status_code
