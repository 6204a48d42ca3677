"""Backups as docs/operating.md describes them: made while a server runs, restored, and served again."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import Struct

from support import postgres
from support.oauth import Person
from support.server import PUBLIC, Server, cli, serving
from support.stores import IN_POSTGRESQL, Ledger, asked

pytestmark = pytest.mark.full


class Store(Struct, frozen=True):
    """A ledger, and how it is backed up to a file and restored from one."""

    ledger: Ledger
    back_up: Callable[[Path], None]
    restore: Callable[[Path], Ledger]


def in_sqlite(directory: Path) -> Store:
    def back_up(copy: Path) -> None:
        """Do what `.backup` of the program sqlite3 does."""
        source, target = sqlite3.connect(directory / "grantledger.sqlite3"), sqlite3.connect(copy)
        with closing(source), closing(target):
            source.backup(target)
        copy.chmod(0o600)

    return Store(directory / "grantledger.sqlite3", back_up, lambda copy: copy)


def in_postgresql(url: str) -> Store:
    def restore(copy: Path) -> Ledger:
        restored = postgres.new_database()
        postgres.run_tool("pg_restore", "--no-owner", "--exit-on-error", "--dbname", restored, str(copy))
        return restored

    dump = ("--format=custom", "--dbname", url)
    return Store(url, lambda copy: postgres.run_tool("pg_dump", *dump, "--file", str(copy)), restore)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return in_postgresql(postgres.new_database(migrated=True)) if IN_POSTGRESQL else in_sqlite(tmp_path)


async def tokens_of(server: Server) -> tuple[str, dict[str, str]]:
    person = Person.at(server.origin)
    async with person.http:
        client = (await person.register())["client_id"]
        return client, await person.tokens(client)


async def test_a_restored_backup_holds_all_that_was_written_before_it(store: Store, tmp_path: Path):
    settings = PUBLIC | {"database": str(store.ledger)}
    with serving(tmp_path, **settings) as server:
        client, before = await tokens_of(server)
        store.back_up(tmp_path / "backup")
        _, after = await tokens_of(server)
    restored = store.restore(tmp_path / "backup")

    replayed = cli("ledger", "replay", cwd=tmp_path, **settings | {"database": str(restored)})
    assert (replayed.returncode, replayed.stderr) == (0, "")
    ((events,),) = asked(restored, "SELECT count(*) FROM events")
    assert replayed.stdout.startswith(f"{events} events replayed")
    assert replayed.stdout.endswith("all equal to the read model\n")

    with serving(tmp_path, **settings | {"database": str(restored)}) as server:
        person = Person.at(server.origin)
        async with person.http:
            assert (await person.session(before["access_token"])).status_code == 200
            assert (await person.refresh(client, before["refresh_token"])).status_code == 200
            assert (await person.session(after["access_token"])).status_code == 401
