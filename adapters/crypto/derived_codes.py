"""Authorization codes that are computed again instead of stored (ADR 0007 does so for tokens)."""

from grantledger.adapters.crypto.keyed_digest import KeyedDigests


class DerivedCodes:
    """A code is a keyed digest of its transaction: 256 bits, which nobody without the master secret knows."""

    def __init__(self, digests: KeyedDigests) -> None:
        self._digests = digests

    def code_of(self, transaction_id: str) -> str:
        return f"glac_{self._digests.digest('authorization code', transaction_id)}"
