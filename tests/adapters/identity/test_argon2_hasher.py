import asyncio
import threading

import argon2
import pytest

from grantledger.adapters.identity.argon2_hasher import Argon2Hasher, unmatched_hash
from grantledger.application.ports import Unavailable
from grantledger.domain.password import MAX_PASSWORD_BYTES, PasswordTooLong
from support.timeouts import TIMEOUT


@pytest.fixture
def hasher():
    hasher = Argon2Hasher()
    yield hasher
    hasher.close()


async def test_hashes_with_argon2id_at_the_cost_that_rfc9106_recommends(hasher):
    parameters = argon2.extract_parameters(await hasher.hash("password"))
    assert parameters == argon2.profiles.RFC_9106_LOW_MEMORY


async def test_two_hashes_of_one_password_differ(hasher):
    assert await hasher.hash("password") != await hasher.hash("password")


async def test_an_unknown_user_costs_as_much_as_a_known_one(hasher):
    known, unknown = await hasher.hash("password"), unmatched_hash(argon2.PasswordHasher())
    assert argon2.extract_parameters(unknown) == argon2.extract_parameters(known)
    assert len(unknown) == len(known)


async def test_two_encodings_of_an_accent_are_the_same_password(hasher):
    assert await hasher.matches("cafe\u0301", await hasher.hash("caf\u00e9"))


async def test_a_lone_surrogate_is_allowed(hasher):
    assert await hasher.matches("\ud800 password", await hasher.hash("\ud800 password"))


async def test_takes_a_password_of_1024_bytes(hasher):
    longest = "é" * (MAX_PASSWORD_BYTES // 2)
    assert await hasher.matches(longest, await hasher.hash(longest))


@pytest.mark.parametrize("password", ["a" * 1025, "é" * 513, "a" * 1_000_000])
async def test_does_not_hash_a_password_over_1024_bytes(hasher, password):
    with pytest.raises(PasswordTooLong):
        await hasher.hash(password)


async def test_a_password_over_1024_bytes_never_matches(hasher):
    assert not await hasher.matches("a" * 1025, await hasher.hash("a" * 1024))


async def test_leaves_the_event_loop_free(hasher, monkeypatch):
    """Fails if a password is hashed on the thread of the event loop: nothing else could run meanwhile."""
    ran = threading.Event()
    monkeypatch.setattr(argon2.PasswordHasher, "hash", lambda *_: ran.wait(TIMEOUT))
    asyncio.get_running_loop().call_later(0.01, ran.set)
    assert await hasher.hash("password")


async def test_refuses_more_than_fit_in_the_queue(monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(argon2.PasswordHasher, "hash", lambda *_: str(go_on.wait(TIMEOUT)))
    hasher = Argon2Hasher(workers=1, most_queued=1)
    fitting = [asyncio.create_task(hasher.hash("password")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await hasher.hash("password")
    go_on.set()
    assert await asyncio.gather(*fitting) == ["True", "True"]
    hasher.close()


async def test_finished_work_leaves_the_queue():
    hasher = Argon2Hasher(workers=1, most_queued=0)
    await hasher.hash("password")
    assert await hasher.hash("password")
    hasher.close()


async def test_a_cancelled_caller_leaves_the_queue():
    hasher = Argon2Hasher(workers=1, most_queued=1)
    working = asyncio.ensure_future(hasher.hash("password"))
    queued = asyncio.ensure_future(hasher.hash("password"))
    await asyncio.sleep(0)
    queued.cancel()
    await asyncio.wait([queued])
    assert await hasher.hash("password")
    assert await working
    hasher.close()


async def test_is_unavailable_after_close(hasher):
    hasher.close()
    with pytest.raises(Unavailable):
        await hasher.hash("password")


async def test_can_be_opened_again():
    hasher = Argon2Hasher()
    hasher.close()
    hasher.open()
    assert await hasher.matches("correct horse", await hasher.hash("correct horse"))
    hasher.close()
