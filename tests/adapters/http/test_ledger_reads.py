"""How often a request reads the ledger, and that no request reads it after its own commit."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from fakes.clock import FrozenClock
from grantledger.adapters.ledger import writer
from grantledger.application.provenance import Caller
from grantledger.domain.resource_indicator import Resource
from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.server import create_app, server_open
from grantledger.entrypoints.settings_sources import load_settings
from support.counting_database import CountingDatabase
from support.oauth import Person, basic, returned
from support.quick_hasher import QuickHasher
from support.server import EMAIL, PASSWORD, PUBLIC, UNTHROTTLED

ORIGIN = PUBLIC["issuer"]
NOTES = f'[{{"identifier": "{ORIGIN}/mcp", "name": "Notes", "scopes": ["notes:read"]}}]'


class World(Struct):
    """A signed-in user who has allowed the client the default scope."""

    person: Person
    database: CountingDatabase
    client: str
    container: Container
    clock: FrozenClock

    def reads(self) -> int:
        """Return how often the ledger was read since the last call."""
        done = self.database.done[:]
        self.database.done.clear()
        if "commit" in done:
            behind = done[len(done) - done[::-1].index("commit") :]
            assert behind == [], "the ledger was asked something after the commit"
        return done.count("read")


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    # Without sweeps, the test counts only its own statements, even if it takes long.
    monkeypatch.setattr(writer, "SWEEP_EVERY", 3_600.0)
    monkeypatch.setattr(writer, "SWEEP_IDLE", 3_600.0)
    database = tmp_path / "ledger.sqlite3"
    variables = {
        "GRANTLEDGER_DATABASE": str(database),
        "GRANTLEDGER_RESOURCES": NOTES,
        "GRANTLEDGER_ISSUER": PUBLIC["issuer"],
        "GRANTLEDGER_MASTER_SECRET": PUBLIC["master_secret"],
        # Throttles read what other processes have counted, once a second and apart from the requests.
        **{f"GRANTLEDGER_{name.upper()}": rate for name, rate in UNTHROTTLED.items()},
    }
    container = Container(load_settings(None, variables, {}))
    counting = CountingDatabase(database)
    container.database.override(counting)
    container.hasher.override(QuickHasher())
    clock = FrozenClock()
    container.clock.override(clock)
    app: Any = create_app(container)
    transport = httpx2.ASGITransport(app)
    async with server_open(container), httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        await container.use_cases().open_account(EMAIL, PASSWORD, Caller(correlation_id="test"))
        person = Person(ORIGIN, http)
        client = (await person.register())["client_id"]
        await person.tokens(client)
        counting.done.clear()
        yield World(person, counting, client, container, clock)


async def test_a_session_is_answered_from_one_read(world: World):
    tokens = await world.person.tokens(world.client)
    world.reads()
    assert (await world.person.session(tokens["access_token"])).status_code == 200
    assert world.reads() == 1


async def test_an_added_resource_takes_one_read_a_second_more(world: World):
    added = Resource("https://files.example/mcp")
    await world.container.use_cases().add_resource(added, Caller(correlation_id="test"))
    tokens = await world.person.tokens(world.client, resource=added.identifier)
    world.clock.advance(1)
    world.reads()
    for _ in range(3):
        assert (await world.person.session(tokens["access_token"])).status_code == 200
    assert world.reads() == 3 + 1


async def test_an_introspection_takes_one_read_for_the_caller_and_one_for_the_token(world: World):
    new = await world.container.use_cases().add_resource(
        Resource(f"{ORIGIN}/mcp"), Caller(correlation_id="test")
    )
    token = (await world.person.tokens(world.client))["access_token"]
    world.reads()
    headers = basic(new.resource.resource_id, new.secret)
    answer = await world.person.http.post("/introspect", data={"token": token}, headers=headers)
    assert answer.json()["active"]
    assert world.reads() == 2


async def test_a_session_of_a_jwt_reads_the_keys_once_a_second(world: World):
    signed = Resource("https://signed.example/mcp", jwt="ES256")
    await world.container.use_cases().add_resource(signed, Caller(correlation_id="test"))
    tokens = await world.person.tokens(world.client, resource=signed.identifier)
    world.clock.advance(1)
    world.reads()
    for _ in range(3):
        assert (await world.person.session(tokens["access_token"])).status_code == 200
    assert world.reads() == 3 + 2  # the keys, and the resource, which a command added


async def test_a_refresh_takes_one_read_and_so_does_its_retry(world: World):
    tokens = await world.person.tokens(world.client)
    for _ in range(2):
        world.reads()
        assert (await world.person.refresh(world.client, tokens["refresh_token"])).status_code == 200
        assert world.reads() == 1


async def test_a_code_is_redeemed_with_one_read(world: World):
    code = await world.person.code(world.client, scope="notes:read")
    world.reads()
    assert "id_token" not in (await world.person.redeem(world.client, code)).json()
    assert world.reads() == 1


@pytest.mark.parametrize("nonce", ["first", "second"])
async def test_a_code_with_an_id_token_is_redeemed_with_at_most_two_reads(world: World, nonce: str):
    code = await world.person.code(world.client, scope="openid", nonce=nonce)
    world.reads()
    assert "id_token" in (await world.person.redeem(world.client, code)).json()
    assert world.reads() <= 2


async def test_an_id_token_with_personal_claims_takes_one_read_more(world: World):
    code = await world.person.code(world.client, scope="openid email profile", nonce="n")
    world.reads()
    assert "id_token" in (await world.person.redeem(world.client, code)).json()
    assert world.reads() <= 3


async def test_a_remembered_consent_answers_an_authorization_with_one_read(world: World):
    world.reads()
    answer = await world.person.asked(world.client)
    assert returned(answer)["code"]
    assert world.reads() == 1


async def test_the_account_page_takes_two_reads_however_many_apps_there_are(world: World):
    for _ in range(3):
        await world.person.tokens((await world.person.register())["client_id"])
    world.reads()
    page = await world.person.http.get("/authorize/account")
    assert page.text.count("Test client") >= 3
    assert world.reads() == 2


async def test_the_consent_page_takes_two_reads_and_its_answer_one(world: World):
    other = (await world.person.register())["client_id"]
    world.reads()
    asked = await world.person.authorize(other)
    page = asked
    if "location" in asked.headers:
        world.reads()
        page = await world.person.http.get(asked.headers["location"])
    assert "/consent" in page.text
    assert world.reads() == 2
    answer = await world.person.post(page, "consent", decision="allow")
    assert returned(answer)["code"]
    assert world.reads() == 1
