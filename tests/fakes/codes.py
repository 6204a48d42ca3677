"""Authorization codes that a test can compute."""

from grantledger.domain.digests import digest


class DigestedCodes:
    def __init__(self, *, secret: str = "") -> None:
        self._secret = secret

    def code_of(self, transaction_id: str) -> str:
        return f"glac_{digest(self._secret + transaction_id)}"
