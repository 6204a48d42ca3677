import asyncio

import argon2
import pytest

from grantledger.adapters.identity.argon2_hasher import Argon2Hasher, hash_of_nobody
from grantledger.application.ports import Unavailable
from grantledger.domain.password import MAX_PASSWORD_BYTES, PasswordTooLong


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


async def test_trying_nobody_costs_what_trying_somebody_costs(hasher):
    somebody, nobody = await hasher.hash("password"), hash_of_nobody(argon2.PasswordHasher())
    assert argon2.extract_parameters(nobody) == argon2.extract_parameters(somebody)
    assert len(nobody) == len(somebody)


async def test_an_accent_is_the_same_however_the_keyboard_writes_it(hasher):
    assert await hasher.matches("cafe\u0301", await hasher.hash("caf\u00e9"))


async def test_half_a_character_is_a_password_like_any_other(hasher):
    assert await hasher.matches("\ud800 password", await hasher.hash("\ud800 password"))


async def test_takes_a_password_of_1024_bytes(hasher):
    longest = "é" * (MAX_PASSWORD_BYTES // 2)
    assert await hasher.matches(longest, await hasher.hash(longest))


@pytest.mark.parametrize("password", ["a" * 1025, "é" * 513, "a" * 1_000_000])
async def test_does_not_hash_a_longer_one(hasher, password):
    with pytest.raises(PasswordTooLong):
        await hasher.hash(password)


async def test_a_longer_one_is_wrong(hasher):
    assert not await hasher.matches("a" * 1025, await hasher.hash("a" * 1024))


async def test_leaves_the_event_loop_free(hasher):
    hashing = asyncio.ensure_future(hasher.hash("password"))
    ticks = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks > 1


async def test_refuses_more_than_may_wait():
    hasher = Argon2Hasher(workers=1, most_waiting=1)
    outcomes = await asyncio.gather(*(hasher.hash("password") for _ in range(3)), return_exceptions=True)
    hasher.close()
    assert [type(outcome) for outcome in outcomes] == [str, str, Unavailable]


async def test_has_room_again_when_the_work_is_done():
    hasher = Argon2Hasher(workers=1, most_waiting=0)
    await hasher.hash("password")
    assert await hasher.hash("password")
    hasher.close()


async def test_a_caller_that_gives_up_does_not_keep_its_place():
    hasher = Argon2Hasher(workers=1, most_waiting=1)
    working = asyncio.ensure_future(hasher.hash("password"))
    waiting = asyncio.ensure_future(hasher.hash("password"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert await hasher.hash("password")
    assert await working
    hasher.close()


async def test_is_unavailable_after_its_end(hasher):
    hasher.close()
    with pytest.raises(Unavailable):
        await hasher.hash("password")


async def test_a_hasher_that_was_closed_can_be_opened_again():
    hasher = Argon2Hasher()
    hasher.close()
    hasher.open()
    assert await hasher.matches("correct horse", await hasher.hash("correct horse"))
    hasher.close()
