"""The primary of two busy servers is killed, and its standby takes over: the servers go on by themselves."""

import asyncio
import random
from collections.abc import Iterator

import httpx2
import pytest
from msgspec import Struct

from adapters.ledger.storage import a_ledger
from faults.test_postgresql_crashes import answered
from grantledger.adapters.ledger.database import CannotOpen
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.application.ports import Unavailable
from grantledger.domain.token_grant import GRANT
from support import postgres
from support.postgres import FailoverPair
from support.replicas import replicas
from support.server import Server
from support.stores import once
from support.timeouts import TIMEOUT, until
from support.witness import Witness, contradictions, signed_in, visitor

pytestmark = once("has a PostgreSQL of its own in each run")

WORKERS = 6
"""Clients of each server."""


class Run(Struct):
    """What was found. The lists are empty if the promises hold; `ready` are the answers of probes."""

    witness: Witness
    wrong_answers: list[str]
    untruths: list[str]
    contradictions: list[str]
    goes_on: bool
    while_no_primary: list[int]
    at_the_end: list[int]
    read_from_the_standby: int


@pytest.fixture(scope="module")
def pair() -> Iterator[FailoverPair]:
    both = FailoverPair()
    yield both
    both.end()


@pytest.fixture(scope="module")
async def run(pair: FailoverPair, tmp_path_factory: pytest.TempPathFactory) -> Run:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown when a test fails
    witness, over = Witness(seed), asyncio.Event()
    settings = {"database": pair.database, "refresh_reuse_window": "300"}
    with replicas(tmp_path_factory.mktemp("servers"), 2, **settings) as servers:
        cookies = await signed_in(servers[0].origin)
        people = [visitor(server.origin, cookies) for server in servers]
        busy = [
            asyncio.create_task(witness.keep_busy(person, over)) for person in people for _ in range(WORKERS)
        ]
        assert await answered(witness, 60)
        await asyncio.to_thread(pair.primary.crash)
        while_no_primary = [await probed(server, 503) for server in servers]
        await until(lambda: witness.refused_for_now > 0 or all(task.done() for task in busy))
        ((read,),) = postgres.rows(pair.standby, READERS)
        await asyncio.to_thread(pair.promote)
        at_the_end = [await probed(server, 200) for server in servers]
        goes_on = await answered(witness, 40)
        over.set()
        ended = await asyncio.gather(*busy, return_exceptions=True)
        return Run(
            witness,
            [repr(error) for error in ended if error is not None],
            await witness.untruths(people[0], at_most=20),
            contradictions(pair.standby),
            goes_on,
            while_no_primary,
            at_the_end,
            read,
        )


READERS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'grantledger' AND query ~ 'token_grant|client|heads'"
)


async def probed(server: Server, wanted: int) -> int:
    """Probe until this status comes, and return the last one that came within the timeout."""
    loop = asyncio.get_running_loop()
    until, status = loop.time() + TIMEOUT, 0
    async with httpx2.AsyncClient(base_url=server.origin, timeout=TIMEOUT, verify=False) as http:
        while status != wanted and loop.time() < until:
            status = (await http.get("/health/ready")).status_code
            await asyncio.sleep(0.05)
    return status


LONG = pytest.mark.timeout(300)


@LONG
async def test_a_standby_alone_is_neither_read_nor_written(pair: FailoverPair) -> None:
    """Not even if it is the only host. This test must run first: afterwards the standby is the primary."""
    standby = PostgresDatabase(pair.standby)
    ledger = a_ledger(standby)
    with pytest.raises(Unavailable, match="target attribute"):
        await ledger.load(GRANT, "grant")
    with pytest.raises(Unavailable, match="target attribute"):
        async with standby.transaction("main"):
            pass
    with pytest.raises(CannotOpen, match="read-only"):
        await ledger.open()
    await ledger.close()


@LONG
async def test_during_a_failover_the_answers_are_503_and_nothing_wrong(run: Run) -> None:
    assert run.wrong_answers == []
    assert run.witness.refused_for_now


@LONG
async def test_after_a_failover_the_servers_go_on_by_themselves(run: Run) -> None:
    assert run.goes_on


@LONG
async def test_what_was_answered_before_a_failover_is_still_true(run: Run) -> None:
    """The standby is synchronous: it had each commit before the answer."""
    assert run.witness.checked
    assert run.untruths == []


@LONG
async def test_after_a_failover_the_read_model_equals_the_replay(run: Run) -> None:
    assert run.contradictions == []


@LONG
async def test_a_server_is_not_ready_while_there_is_no_primary(run: Run) -> None:
    assert set(run.while_no_primary) == {503}
    assert set(run.at_the_end) == {200}


@LONG
async def test_the_standby_was_not_read_before_it_took_over(run: Run) -> None:
    assert run.read_from_the_standby == 0
