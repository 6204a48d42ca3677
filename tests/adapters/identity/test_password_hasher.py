"""What every password hasher promises."""

import pytest

from fakes.password_hasher import PlainPasswordHasher
from grantledger.adapters.identity.argon2_hasher import Argon2Hasher
from grantledger.application.ports import PasswordHasher

PASSWORD = "correct horse battery staple"


@pytest.fixture(params=[PlainPasswordHasher, Argon2Hasher])
def hasher(request):
    hasher: PasswordHasher = request.param()
    yield hasher
    if isinstance(hasher, Argon2Hasher):
        hasher.close()


async def test_the_password_matches_its_hash(hasher):
    assert await hasher.matches(PASSWORD, await hasher.hash(PASSWORD))


async def test_another_password_does_not_match(hasher):
    assert not await hasher.matches(PASSWORD.upper(), await hasher.hash(PASSWORD))


async def test_no_password_matches_an_unknown_user(hasher):
    assert not await hasher.matches(PASSWORD, None)


async def test_an_empty_password_matches_no_unknown_user(hasher):
    assert not await hasher.matches("", None)
