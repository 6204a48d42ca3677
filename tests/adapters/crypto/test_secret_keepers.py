"""What every keeper of the master secrets keeps to, and what the file promises beside it."""

import stat
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


async def test_a_new_one_comes_last(keeper: SecretKeeper):
    (first,) = await keeper.key_ids()
    new = await keeper.add()
    assert tuple(await keeper.key_ids()) == (first, new)


async def test_one_is_put_first_and_the_others_stay_in_order(keeper: SecretKeeper):
    (first,) = await keeper.key_ids()
    second, third = await keeper.add(), await keeper.add()
    await keeper.put_first(third)
    assert tuple(await keeper.key_ids()) == (third, first, second)


async def test_one_is_removed(keeper: SecretKeeper):
    (first,) = await keeper.key_ids()
    new = await keeper.add()
    await keeper.remove(first)
    assert tuple(await keeper.key_ids()) == (new,)


async def test_a_new_secret_is_a_secret_of_32_bytes_and_no_other_user_reads_it(path: Path):
    await SecretFile(path).add()
    first, new = path.read_text().split()
    assert (first, len(new)) == (FIRST, 43)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_file_that_cannot_be_written_is_told_and_left_alone(path: Path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SecretsUnchangeable, match="No space left on device"):
        await SecretFile(path).add()
    assert path.read_text() == f"{FIRST}\n"
    assert list(path.parent.iterdir()) == [path]


async def test_what_stands_in_a_setting_is_changed_by_nobody():
    keeper = SecretSetting(("secret-1",))
    assert await keeper.key_ids() == ("secret-1",)
    for change in (keeper.add(), keeper.put_first("secret-1"), keeper.remove("secret-1")):
        with pytest.raises(SecretsUnchangeable, match="in the setting master_secret"):
            await change
