from contextlib import suppress

from grantledger.application.open_account import EmailTaken, OpenAccount
from grantledger.application.provenance import Caller
from grantledger.application.registration_limit import RegistrationLimit


class SignUp:
    """Open an account for whoever asks, and tell nobody whether there was one with that address."""

    def __init__(self, open_account: OpenAccount, limit: RegistrationLimit) -> None:
        self._open_account = open_account
        self._limit = limit

    async def __call__(self, email: str, password: str, caller: Caller) -> None:
        """Return when there is an account, the new one or one that was there and stays as it was.

        Raises `EmailInvalid`, `TooManyRegistrations` and as `check_password` does.
        """
        with self._limit.registration(caller.address), suppress(EmailTaken):
            await self._open_account(email, password, caller, by_themselves=True)
