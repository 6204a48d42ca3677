"""Files with secrets that other users of the machine can read: ours are refused, others cause a warning."""

import os
from pathlib import Path

import pytest

from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.settings import Settings, SettingsInvalid
from grantledger.entrypoints.settings_sources import load_settings

SECRET = "c2VjcmV0" * 8


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "grantledger.toml"
    path.write_text(f'master_secret = ["{SECRET}"]')
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite3"
    path.touch()
    return path


@pytest.fixture
def not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if another user owned every file."""
    monkeypatch.setattr(os, "geteuid", lambda: 65_533)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_a_settings_file_with_a_secret_that_others_can_read_is_refused(config: Path, mode: int):
    config.chmod(mode)
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(config, {}, {})
    assert str(refused.value) == f"config must be closed to other users: run `chmod o= {config}`"


@pytest.mark.parametrize(
    "database",
    [
        "postgresql://app:the-password@db.example/grantledger",
        "postgresql://db.example/grantledger?sslmode=require&password=the-password",
    ],
)
def test_a_settings_file_with_the_password_of_a_database_is_refused_too(config: Path, database: str):
    config.write_text(f'database = "{database}"')
    config.chmod(0o644)
    with pytest.raises(SettingsInvalid, match="must be closed to other users"):
        load_settings(config, {}, {})


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
def test_a_settings_file_that_the_group_can_read_is_accepted(config: Path, mode: int):
    config.chmod(mode)
    assert load_settings(config, {}, {}).master_secret


@pytest.mark.parametrize(
    "written",
    [
        "port = 9000",
        'port = 9000\ndatabase = "postgresql://app@db.example/grantledger"\nmaster_secret_file = "secrets"',
    ],
)
def test_a_settings_file_without_a_secret_may_be_open(config: Path, written: str):
    config.write_text(written)
    config.chmod(0o644)
    assert load_settings(config, {}, {}).port == 9000


@pytest.mark.usefixtures("not_ours")
def test_a_mounted_settings_file_causes_a_warning(config: Path, caplog: pytest.LogCaptureFixture):
    config.chmod(0o644)
    assert load_settings(config, {}, {}).master_secret
    (line,) = caplog.records
    assert line.levelname == "WARNING"
    assert f"other users of this machine can read {config}" in line.message
    assert SECRET not in line.message


@pytest.mark.usefixtures("not_ours")
def test_a_mounted_master_secret_causes_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    secrets = tmp_path / "secrets"
    secrets.write_text(SECRET)
    secrets.chmod(0o444)
    assert Container(Settings(master_secret_file=str(secrets))).master_secrets().key_ids
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("mode", [0o604, 0o644])
def test_a_database_that_others_can_read_is_refused(database: Path, mode: int):
    database.chmod(mode)
    with pytest.raises(SettingsInvalid) as refused:
        Container(Settings(database=str(database))).database()
    assert str(refused.value) == f"database must be closed to other users: run `chmod o= {database}`"


def test_a_database_that_the_group_can_read_is_accepted(database: Path):
    database.chmod(0o660)
    assert Container(Settings(database=str(database))).database().name == str(database)


@pytest.mark.usefixtures("not_ours")
def test_a_database_of_another_user_causes_a_warning(database: Path, caplog: pytest.LogCaptureFixture):
    database.chmod(0o644)
    assert Container(Settings(database=str(database))).database().name == str(database)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
