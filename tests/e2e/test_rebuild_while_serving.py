"""The read model is rebuilt while servers are busy: no request fails, and nothing is lost."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from support.oauth import SESSION_COOKIE, Person
from support.patient_serve import PATIENT
from support.replicas import replicas
from support.server import Server, cli

pytestmark = pytest.mark.full

CLIENTS, REBUILDS = 4, 2


async def use(person: Person, served: asyncio.Event, finished: asyncio.Event) -> None:
    """Register, and go on refreshing, checking and revoking until the rebuilds are done."""
    client = (await person.register())["client_id"]
    while not finished.is_set():
        tokens = await person.tokens(client)
        for _ in range(3):
            answer = await person.refresh(client, tokens["refresh_token"])
            assert answer.status_code == 200, answer.text
            tokens = answer.json()
            session = await person.session(tokens["access_token"])
            assert session.status_code == 200, session.text
        assert (await person.revoke(client, tokens["refresh_token"])).status_code == 200
        assert (await person.session(tokens["access_token"])).status_code == 401
        served.set()


async def rebuild(
    server: Server, served: list[asyncio.Event], finished: asyncio.Event
) -> set[tuple[int, str]]:
    """Run the command again and again, until every user has been served; return the different results."""
    directory, settings = server.database.parent, server.settings
    results = set()
    runs = 0
    try:
        while runs < REBUILDS or not all(one.is_set() for one in served):
            ended = await asyncio.to_thread(cli, "ledger", "rebuild", "--json", cwd=directory, **settings)
            results.add((ended.returncode, ended.stderr))
            runs += 1
    finally:
        finished.set()
    return results


async def everybody(servers: list[Server]) -> list[Person]:
    """Return several browsers that are signed in as Ada. They are distributed over the servers."""
    origins = itertools.cycle([server.origin for server in servers])
    people = [Person.at(origin) for origin in itertools.islice(origins, CLIENTS)]
    first = people[0]
    await first.sign_in(await first.asked((await first.register())["client_id"]))
    cookie = str(first.http.cookies[SESSION_COOKIE])
    for person in people[1:]:
        person.http.cookies.set(SESSION_COOKIE, cookie, domain="127.0.0.1", path="/")
    return people


@pytest.mark.parametrize("count", [1, 2])
async def test_every_request_succeeds_during_a_rebuild(tmp_path: Path, count: int):
    with replicas(tmp_path, count, PATIENT) as servers:
        people, finished = await everybody(servers), asyncio.Event()
        served = [asyncio.Event() for _ in people]
        used = [use(person, one, finished) for person, one in zip(people, served, strict=True)]
        results, _ = await asyncio.gather(rebuild(servers[0], served, finished), asyncio.gather(*used))
        assert results == {(0, "")}
        for person in people:
            await person.http.aclose()
        replayed = cli("ledger", "replay", "--json", cwd=tmp_path, **servers[0].settings)
        assert (replayed.returncode, json.loads(replayed.stdout)["differences"]) == (0, 0), replayed.stdout
        assert "Traceback" not in servers[0].log
