from grantledger.application.ports import CommonPasswords
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
