"""Password hashes with the lowest cost: with the real one each sign-in would take a tenth of a second."""

from argon2 import PasswordHasher

from grantledger.adapters.identity.argon2_hasher import Argon2Hasher

_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class QuickHasher(Argon2Hasher):
    """For the users of test servers. A hash contains its own cost, so an unchanged server can check it."""

    async def hash(self, password: str) -> str:
        return _QUICK.hash(password)
