from grantledger.domain.refusal import Refusal


class TooManyRequests(Refusal):
    """Something was done too often; `retry_after` seconds from now there is room for one more."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(f"{detail}; room for one more in {retry_after} s")
        self.retry_after = retry_after


class TooManyGuesses(TooManyRequests):
    """Too many attempts at a password or client secret have failed; the right one is refused as well."""


class TooManyRegistrations(TooManyRequests):
    """Too many clients registered, or people signed up: in all or from one address."""
