"""A newer release migrates the database while servers of this release use it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Text

from support.oauth import Person
from support.patient_serve import PATIENT
from support.replicas import replicas
from support.server import Server, cli
from support.stores import Ledger, asked, database_at

pytestmark = pytest.mark.full

NEXT = "9999"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    with replicas(tmp_path, 2, PATIENT) as running:
        yield running


def expand(ledger: Ledger) -> None:
    """Migrate as a later release would: add a table, a column with a default and an index; remove nothing."""
    database = database_at(ledger)
    with database.writing() as connection:
        op = Operations(MigrationContext.configure(connection))
        op.create_table("notes", Column("realm", Text, primary_key=True), Column("note", Text))
        op.add_column("token_grant", Column("note", BigInteger, nullable=False, server_default="0"))
        op.create_index("token_grant_note", "token_grant", ["realm", "note"])
        op.execute(f"UPDATE alembic_version SET version_num = '{NEXT}'")
    database.engine.dispose()


@pytest.fixture
async def people(servers: list[Server]) -> AsyncIterator[list[Person]]:
    people = [Person.at(server.origin) for server in servers]
    yield people
    for person in people:
        await person.http.aclose()


async def keep_refreshing(person: Person, client: str, tokens: dict[str, str], over: asyncio.Event) -> int:
    """Refresh and look up repeatedly, and return how often. Every request must succeed."""
    count = 0
    while not over.is_set() or count < 3:
        answer = await person.refresh(client, tokens["refresh_token"])
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        assert (await person.session(tokens["access_token"])).status_code == 200
        count += 1
    return count


async def test_servers_of_this_release_go_on_while_a_newer_one_migrates(
    servers: list[Server], people: list[Person]
):
    over = asyncio.Event()
    grants = []
    for person in people:
        client = (await person.register())["client_id"]
        grants.append((person, client, await person.tokens(client)))
    busy = [asyncio.create_task(keep_refreshing(*grant, over)) for grant in grants]
    await asyncio.to_thread(expand, servers[0].ledger)
    over.set()
    assert min(await asyncio.gather(*busy)) >= 3
    for person in people:  # new rows can be written too
        await person.tokens((await person.register())["client_id"])
    assert asked(servers[0].ledger, "SELECT DISTINCT note FROM token_grant") == [(0,)]

    # A server or a command of this release that starts now could not know what the new columns mean.
    for command in (("serve",), ("user", "list"), ("ledger", "rebuild")):
        done = cli(*command, cwd=servers[0].database.parent, **servers[0].settings)
        assert done.returncode == 1
        assert f"the database is at revision {NEXT}, which only a newer release knows" in done.stderr
