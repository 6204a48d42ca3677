import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.entrypoints.master_secret import obtain_master_secrets
from grantledger.entrypoints.settings import Settings, SettingsInvalid

OLD, NEW = bytes(32), bytes(range(32))


def text(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


@pytest.fixture
def database(tmp_path):
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secrets"
    path.touch(0o600)
    return path


def sentence(settings: Settings) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        obtain_master_secrets(settings)
    return str(refused.value)


# Configured


def test_takes_the_secrets_of_the_setting_newest_first():
    obtained = obtain_master_secrets(Settings(master_secret=(text(NEW), text(OLD))))
    assert obtained.key_ids == MasterSecrets([NEW, OLD]).key_ids


def test_takes_the_secrets_of_the_file_newest_first(secret_file):
    secret_file.write_text(f"{text(NEW)}\n\n{text(OLD)}\n")
    obtained = obtain_master_secrets(Settings(master_secret_file=str(secret_file)))
    assert obtained.key_ids == MasterSecrets([NEW, OLD]).key_ids


def test_a_configured_secret_makes_no_file(database):
    obtain_master_secrets(Settings(master_secret=(text(NEW),), database=str(database)))
    assert list(database.parent.iterdir()) == []


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_refuses_a_file_that_is_open_to_others(secret_file, mode):
    secret_file.write_text(text(NEW))
    secret_file.chmod(mode)
    assert sentence(Settings(master_secret_file=str(secret_file))) == (
        f"master_secret_file must be closed to other users: run `chmod o= {secret_file}`"
    )


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o440])
def test_takes_a_file_of_the_owner_and_the_group(secret_file, mode):
    secret_file.write_text(text(NEW))
    secret_file.chmod(mode)
    obtained = obtain_master_secrets(Settings(master_secret_file=str(secret_file)))
    assert obtained.key_ids == MasterSecrets([NEW]).key_ids


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "there is no master secret"),
        (b"c2hvcnQ=", "master secret 1 has 5 of 32 bytes"),
        (b"hunter2!", "a master secret is not written in base64"),
    ],
)
def test_refuses_a_short_or_malformed_secret_in_a_file(secret_file, content, why):
    secret_file.write_bytes(content)
    message = sentence(Settings(master_secret_file=str(secret_file)))
    assert message == f"master_secret_file cannot be used: {why} (from {secret_file})"


def test_refuses_a_file_that_is_no_text(secret_file):
    secret_file.write_bytes(NEW + b"\xff")
    message = sentence(Settings(master_secret_file=str(secret_file)))
    assert message == f"master_secret_file cannot be used: {secret_file} is not text"


def test_refuses_a_file_that_is_not_there(tmp_path):
    message = sentence(Settings(master_secret_file=str(tmp_path / "gone")))
    assert message == f"master_secret_file cannot be read: {tmp_path / 'gone'}: No such file or directory"


def test_refuses_a_folder(tmp_path):
    assert "Is a directory" in sentence(Settings(master_secret_file=str(tmp_path)))


# Made on loopback


def made(database: Path) -> Path:
    return database.with_name("ledger.sqlite3.secret")


def test_the_first_start_makes_a_secret_next_to_the_database(database):
    obtain_master_secrets(Settings(database=str(database)))
    assert [path.name for path in database.parent.iterdir()] == ["ledger.sqlite3.secret"]


def test_a_new_secret_file_is_private(database):
    obtain_master_secrets(Settings(database=str(database)))
    assert stat.S_IMODE(made(database).stat().st_mode) == 0o600


def test_a_new_secret_has_32_bytes_in_base64url(database):
    obtain_master_secrets(Settings(database=str(database)))
    assert len(base64.urlsafe_b64decode(made(database).read_text().strip() + "=")) == 32


def test_the_next_start_takes_the_same_secret(database):
    first = obtain_master_secrets(Settings(database=str(database)))
    assert obtain_master_secrets(Settings(database=str(database))).newest == first.newest


def test_two_databases_have_different_secrets(tmp_path):
    one, other = (obtain_master_secrets(Settings(database=str(tmp_path / name))) for name in ("a", "b"))
    assert one.newest != other.newest


def test_refuses_a_generated_secret_that_others_may_read(database):
    obtain_master_secrets(Settings(database=str(database)))
    made(database).chmod(0o644)
    assert "must be closed to other users" in sentence(Settings(database=str(database)))


def test_a_database_in_memory_makes_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = obtain_master_secrets(Settings(database=":memory:"))
    assert obtain_master_secrets(Settings(database=":memory:")).newest != first.newest
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_prevents_the_start(tmp_path):
    message = sentence(Settings(database=str(tmp_path / "gone" / "ledger.sqlite3")))
    secret = tmp_path / "gone" / "ledger.sqlite3.secret"
    assert message == f"database needs a master secret next to it, {secret}: No such file or directory"


def test_uses_a_secret_that_another_process_has_just_created(database, monkeypatch):
    obtain_master_secrets(Settings(database=str(database)))
    theirs = made(database).read_text()
    monkeypatch.setattr(Path, "exists", lambda _: False)
    obtained = obtain_master_secrets(Settings(database=str(database)))
    assert obtained.newest == MasterSecrets([base64.urlsafe_b64decode(theirs.strip() + "=")]).newest
    assert made(database).read_text() == theirs


def test_parallel_first_starts_use_the_same_secret(tmp_path):
    processes = 8
    together = Barrier(processes)

    def start(settings: Settings) -> str:
        together.wait()
        return obtain_master_secrets(settings).newest

    with ThreadPoolExecutor(processes) as threads:
        for attempt in range(20):
            settings = Settings(database=str(tmp_path / f"ledger-{attempt}"))
            assert len(set(threads.map(start, [settings] * processes))) == 1
