from grantledger.application.ports import CommonPasswords, PasswordHasher
from grantledger.domain.password import (
    PasswordTooCommon,
    check_is_no_repetition,
    check_is_not_address,
    check_length,
    cores,
)


class PasswordRules:
    """The rules for new passwords."""

    def __init__(self, common: CommonPasswords) -> None:
        self._common = common

    async def check(self, password: str, email: str | None) -> None:
        """Raise a `PasswordUnfit` unless the user with that e-mail address may have the password."""
        check_length(password)
        check_is_no_repetition(password)
        if email is not None:
            check_is_not_address(password, email)
        if await self._common.include(set(cores(password))):
            raise PasswordTooCommon


class PasswordAttempt:
    """A password that was typed, for a use case that may have to decide again after a conflict.

    The password is hashed once, and compared once with each stored hash. Each of these takes 0.1 s and a turn
    in the queue that all users share.
    """

    def __init__(self, hasher: PasswordHasher, password: str) -> None:
        self._hasher = hasher
        self._password = password
        self._compared: dict[str | None, bool] = {}
        self._hash: str | None = None

    async def matches(self, password_hash: str | None) -> bool:
        """The same as `PasswordHasher.matches`, but each hash is checked only once."""
        if password_hash not in self._compared:
            self._compared[password_hash] = await self._hasher.matches(self._password, password_hash)
        return self._compared[password_hash]

    async def hash(self) -> str:
        if self._hash is None:
            self._hash = await self._hasher.hash(self._password)
        return self._hash
