"""Password hashes that cost nothing to check: a real one takes a tenth of a second at each sign-in."""

from argon2 import PasswordHasher

from grantledger.adapters.identity.argon2_hasher import Argon2Hasher

_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class QuickHasher(Argon2Hasher):
    """For the users of test servers. The cost is written in the hash, so a server checks it as any other."""

    async def hash(self, password: str) -> str:
        return _QUICK.hash(password)
