"""The contract of every keeper of the master secrets, and the promises of the file."""

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakes.secrets_in_memory import MemorySecretKeeper
from grantledger.adapters.crypto.secret_keepers import SecretFile, SecretSetting
from grantledger.application.keys.master_secrets import SecretKeeper, SecretsUnchangeable

FIRST = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldCE"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "secrets"
    path.write_text(f"{FIRST}\n")
    path.chmod(0o600)
    return path


@pytest.fixture(params=["memory", "file"])
def keeper(request: pytest.FixtureRequest, path: Path) -> SecretKeeper:
    return SecretFile(path) if request.param == "file" else MemorySecretKeeper("secret-1")


async def test_a_new_secret_is_the_last(keeper: SecretKeeper):
    (first,) = await keeper.key_ids()
    new = await keeper.add()
    assert tuple(await keeper.key_ids()) == (first, new)


async def test_one_is_put_first_and_the_others_keep_their_order(keeper: SecretKeeper):
    (first,) = await keeper.key_ids()
    second, third = await keeper.add(), await keeper.add()
    await keeper.put_first(third)
    assert tuple(await keeper.key_ids()) == (third, first, second)


def test_parallel_commands_lose_no_secret(path: Path):
    """Fails if one command replaces the file that another has just written."""
    with ThreadPoolExecutor(4) as threads:
        added = list(threads.map(lambda _: asyncio.run(SecretFile(path).add()), range(16)))
    assert {*asyncio.run(SecretFile(path).key_ids())} >= {*added}


async def test_one_is_removed(keeper: SecretKeeper):
    (first,) = await keeper.key_ids()
    new = await keeper.add()
    await keeper.remove(first)
    assert tuple(await keeper.key_ids()) == (new,)


async def test_a_new_secret_has_32_bytes_and_the_file_stays_private(path: Path):
    await SecretFile(path).add()
    first, new = path.read_text().split()
    assert (first, len(new)) == (FIRST, 43)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_failed_write_leaves_the_file_as_it_was(path: Path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SecretsUnchangeable, match="No space left on device"):
        await SecretFile(path).add()
    assert path.read_text() == f"{FIRST}\n"
    assert list(path.parent.iterdir()) == [path]


async def test_secrets_in_a_setting_cannot_be_changed():
    keeper = SecretSetting(("secret-1",))
    assert await keeper.key_ids() == ("secret-1",)
    for change in (keeper.add(), keeper.put_first("secret-1"), keeper.remove("secret-1")):
        with pytest.raises(SecretsUnchangeable, match="in the setting master_secret"):
            await change


async def test_creates_a_private_file_with_one_secret(tmp_path: Path):
    path = tmp_path / "new"
    SecretFile(path).create()
    assert len(await SecretFile(path).key_ids()) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_does_not_create_over_an_existing_file(path: Path, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda _: False)  # another process makes it after the check
    SecretFile(path).create()
    assert path.read_text() == f"{FIRST}\n"
    assert list(path.parent.iterdir()) == [path]


async def test_a_change_replaces_the_file_behind_a_symbolic_link(path: Path):
    link = path.with_name("link")
    link.symlink_to(path)
    await SecretFile(link).add()
    assert link.is_symlink()
    assert len(path.read_text().split()) == 2


async def test_a_change_keeps_the_mode_of_the_file(path: Path):
    path.chmod(0o640)
    await SecretFile(path).add()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
