"""Codes without a secret, for tests that are about something else."""

import hashlib

_LENGTH = 16


class DigestedCodes:
    """`CodeSealer` without a secret."""

    def code_of(self, transaction_id: str) -> str:
        return f"glac_{transaction_id}{hashlib.sha256(transaction_id.encode()).hexdigest()[:_LENGTH]}"

    def transaction_of(self, code: str) -> str | None:
        transaction_id = code.removeprefix("glac_")[:-_LENGTH]
        return transaction_id if self.code_of(transaction_id) == code else None
