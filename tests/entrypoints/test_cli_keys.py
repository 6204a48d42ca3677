"""`grantledger keys`: what the operator sees, and what a script can rely on."""

import asyncio
import json
from pathlib import Path

import pytest

from fakes.clock import FrozenClock
from grantledger.application.keys.signing_keys import MakeSigningKeys
from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container, ledger_open
from grantledger.entrypoints.settings_sources import load_settings
from support.server import cli


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


async def start(database: Path, *, seconds_ago: int) -> None:
    """Do what the first start of a server does."""
    container = Container(load_settings(None, {}, {"database": str(database)}))
    then = FrozenClock(container.clock().now() - seconds_ago)
    async with ledger_open(container):
        await MakeSigningKeys(container.ledger(), container.ports().key_maker, then)(
            Caller(correlation_id="test")
        )


@pytest.fixture
def started(database: Path) -> Path:
    """A ledger for which a server has just been started."""
    asyncio.run(start(database, seconds_ago=0))
    return database


@pytest.fixture
def an_hour_old(database: Path) -> Path:
    """A ledger whose next key was published long enough ago."""
    asyncio.run(start(database, seconds_ago=3_601))
    return database


def run(database: Path, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = cli("keys", *arguments, cwd=database.parent, stdin=stdin, database=str(database))
    return done.returncode, done.stdout, " ".join(done.stderr.replace("│", " ").split())


def listed(database: Path, *arguments: str) -> list[dict[str, str]]:
    code, said, complaint = run(database, *(arguments or ("list",)), "--json")
    assert code == 0, complaint
    return [json.loads(line) for line in said.splitlines()]


def test_the_keys_are_listed_newest_first(started: Path):
    assert [key["status"] for key in listed(started)] == ["next", "active"]


def test_a_person_reads_which_key_signs_and_when_the_next_may(started: Path):
    code, said, _ = run(started, "list")
    assert code == 0
    assert "signs since" in said
    assert "may sign from" in said
    assert all(key["kid"] in said for key in listed(started))


def test_no_private_key_is_listed(started: Path):
    assert all("d" not in key["public_key"] for key in listed(started))


def test_before_the_first_start_there_are_no_keys(database: Path):
    cli("migrate", cwd=database.parent, database=str(database))
    assert run(database, "list")[:2] == (
        0,
        "There are no keys yet: the first start of the server creates them.\n",
    )


@pytest.mark.parametrize("command", ["list", "rotate"])
def test_a_missing_ledger_is_not_created(database: Path, command: str):
    code, _, said = run(database, command)
    assert code == 1
    assert "cannot be opened" in said
    assert list(database.parent.iterdir()) == []


def test_rotating_lets_the_next_key_sign(an_hour_old: Path):
    following, active = listed(an_hour_old)
    rotated = listed(an_hour_old, "rotate")
    assert [key["status"] for key in rotated] == ["next", "active", "retired"]
    assert (rotated[1]["kid"], rotated[2]["kid"]) == (following["kid"], active["kid"])


def test_rotating_too_early_says_when_it_can_be_done(started: Path):
    code, _, said = run(started, "rotate")
    assert code == 1
    assert "the next key may sign from 20" in said
    assert "--compromised" in said
    assert [key["status"] for key in listed(started)] == ["next", "active"]


def test_a_compromise_withdraws_every_key(started: Path):
    rotated = listed(started, "rotate", "--compromised", "--yes")
    assert [key["status"] for key in rotated] == ["next", "active", "retired", "retired"]
    assert "withdrawn at once" in run(started, "list")[1]


def test_withdrawing_keys_needs_a_confirmation(started: Path):
    code, _, said = run(started, "rotate", "--compromised", stdin="n\n")
    assert code == 1
    assert "After this, no ID token and no JWT access token signed so far can be verified" in said
    assert len(listed(started)) == 2


def test_a_rotation_is_recorded_with_the_operator_as_actor(an_hour_old: Path):
    run(an_hour_old, "rotate")
    said = cli("ledger", "show", "--json", cwd=an_hour_old.parent, database=str(an_hour_old)).stdout
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["actor_kind"] for line in lines] == ["system"] * 3 + ["operator"] * 3
