"""Rotating the master secret while users sign in and clients refresh, with real processes."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import Vault
from support.oauth import Person
from support.server import Server, cli, serving
from support.stores import execute
from support.timeouts import TIMEOUT

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def run(server: Server, *arguments: str) -> tuple[int, str, str]:
    done = cli(*arguments, cwd=server.database.parent, **server.settings)
    return done.returncode, done.stdout, done.stderr


def output(server: Server, *arguments: str) -> str:
    code, said, complaint = run(server, *arguments)
    assert code == 0, complaint
    return said


def secrets_of(server: Server) -> dict[str, dict[str, Any]]:
    listed = [json.loads(line) for line in output(server, "secret", "list", "--json").splitlines()]
    return {one["key_id"]: one for one in listed}


async def signs_in(server: Server) -> None:
    """A browser that has never been here signs in, and a client gets its tokens."""
    person = Person.at(server.origin)
    async with person.http:
        await person.tokens((await person.register())["client_id"])


async def test_a_rotation_of_the_master_secret_signs_no_one_out(tmp_path: Path):
    with serving(tmp_path) as server:
        person = Person.at(server.origin)
        client = (await person.register())["client_id"]
        tokens = await person.tokens(client)
        (old,) = secrets_of(server)
        said = output(server, "secret", "rotate")
        new = said.split()[0]
        assert f"grantledger secret rotate --to {new}" in said
        assert secrets_of(server)[new] == {
            "key_id": new,
            "role": "opens",
            "private_records": 0,
            "live_grants": 0,
            "live_until": None,
        }
    with serving(tmp_path, port=int(server.settings["port"])) as server:
        # The restarted server has the new secret. No further secret is added before this one is activated.
        code, _, complaint = run(server, "secret", "rotate")
        assert (code, f"rotate --to {new}" in complaint) == (1, True)
        code, said, warning = run(server, "secret", "rotate", "--to", new, "--yes")
        assert code == 0, warning
        assert "private records are resealed" in said
        assert f"Keep {old}: it seals tokens of live grants (their number: 1)" in warning
        await signs_in(server)  # it still seals under the old secret, and opens resealed records
        assert (await person.session(tokens["access_token"])).status_code == 200
    with serving(tmp_path, port=int(server.settings["port"])) as server:
        assert (await person.session(tokens["access_token"])).status_code == 200
        refreshed = await person.refresh(client, tokens["refresh_token"])
        assert refreshed.status_code == 200
        await signs_in(server)
        listed = secrets_of(server)
        assert [(one["key_id"], one["role"]) for one in listed.values()] == [(new, "seals"), (old, "opens")]
        assert listed[old]["private_records"] == 0
        assert listed[old]["live_grants"] == 2
        code, _, complaint = run(server, "secret", "retire", old)
        assert (code, f"{old} seals tokens of live grants (their number: 2)" in complaint) == (1, True)
        output(server, "secret", "retire", old, "--force")
    with serving(tmp_path, port=int(server.settings["port"])) as server:
        assert list(secrets_of(server)) == [new, old]  # no longer configured, but live grants name it
        assert secrets_of(server)[old]["role"] == "missing"
        assert (await person.session(tokens["access_token"])).status_code == 401
        assert (await person.session(refreshed.json()["access_token"])).status_code == 200
        await signs_in(server)
        lines = map(json.loads, output(server, "ledger", "show", "--json").splitlines())
        remembered = [line for line in lines if line["stream_id"] == "secrets:master"]
        assert [(line["tag"], line["event"]["key_id"], line["actor_kind"]) for line in remembered] == [
            ("master_secret.added.v1", new, "operator"),
            ("master_secret.activated.v1", new, "operator"),
            ("master_secret.retired.v1", old, "operator"),
        ]
        assert remembered[-1]["event"]["live_grants"] == 2
        assert len({line["correlation_id"] for line in remembered}) == 3
    await person.http.aclose()


def filled(server: Server, records: int) -> None:
    """Add that many private records under the secret of the server."""
    (line,) = Path(f"{server.database}.secret").read_text().split()
    vault = Vault(MasterSecrets([base64.urlsafe_b64decode(line + "=" * (-len(line) % 4))]), "main")
    rows = [("main", f"glu_{n}", "note", None, *vault.seal(f"glu_{n}", "note", "x")) for n in range(records)]
    with closing(sqlite3.connect(server.database, timeout=TIMEOUT)) as connection, connection:
        connection.executemany("INSERT INTO private_record VALUES (?, ?, ?, ?, ?, ?)", rows)


def under(server: Server, key_id: str) -> int:
    with closing(sqlite3.connect(server.database, timeout=TIMEOUT)) as connection:
        asked = "SELECT count(*) FROM private_record WHERE key_id = ?"
        return int(connection.execute(asked, (key_id,)).fetchone()[0])


HALFWAY = """
    CREATE TRIGGER halfway BEFORE UPDATE ON private_record
    WHEN (SELECT count(*) FROM private_record WHERE key_id = new.key_id) > 300
    BEGIN SELECT count(*) FROM private_record a, private_record b, private_record c, private_record d; END
"""
"""Makes a rotation hang after 300 resealed records, so that a test can kill it there."""


async def test_a_rotation_that_is_killed_is_finished_by_the_same_command(tmp_path: Path):
    with serving(tmp_path) as server:
        filled(server, 1_000)
        new = output(server, "secret", "rotate").split()[0]
    with serving(tmp_path, port=int(server.settings["port"])) as server:
        execute(server.database, HALFWAY)
        variables = {f"GRANTLEDGER_{name.upper()}": value for name, value in server.settings.items()}
        rotating = subprocess.Popen(
            [sys.executable, "-m", "grantledger", "secret", "rotate", "--to", new, "--yes"],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stdout=subprocess.DEVNULL,
        )
        while under(server, new) == 0:
            assert rotating.poll() is None
            time.sleep(0.01)
        rotating.kill()
        rotating.wait(TIMEOUT)
        execute(server.database, "DROP TRIGGER halfway")
        done = under(server, new)
        assert 0 < done < 1_002
        await signs_in(server)
        assert run(server, "secret", "retire", next(key for key in secrets_of(server) if key != new))[0] == 1
        said = output(server, "secret", "rotate", "--to", new)  # in front already: nothing to ask
        assert int(said.split()[0]) >= 1_002 - done
        await signs_in(server)
        assert [one["private_records"] for one in secrets_of(server).values() if one["key_id"] != new] == [0]


def test_secrets_from_a_variable_are_changed_by_hand(tmp_path: Path):
    secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldCE"
    with serving(tmp_path, master_secret=secret) as server:
        code, said, complaint = run(server, "secret", "rotate")
    assert (code, said) == (1, "")
    assert "openssl rand -base64 32" in complaint
    assert secret not in complaint
    assert not Path(f"{server.database}.secret").exists()


def test_the_secret_that_seals_and_one_that_is_not_there_are_not_retired(tmp_path: Path):
    with serving(tmp_path) as server:
        (only,) = secrets_of(server)
        assert "rotate to another one first" in run(server, "secret", "retire", only)[2]
        assert "there is no master secret '00000000'" in run(server, "secret", "retire", "00000000")[2]
        assert run(server, "secret", "rotate", "--to", "00000000", "--yes")[0] == 1


def test_the_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path):
    real, link = tmp_path / "real", tmp_path / "secrets"
    real.write_text("c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldCE\n")
    real.chmod(0o640)
    link.symlink_to(real)
    with serving(tmp_path, master_secret_file=str(link)) as server:
        output(server, "secret", "rotate")
    assert link.is_symlink()
    assert len(real.read_text().split()) == 2
    assert real.stat().st_mode & 0o777 == 0o640
