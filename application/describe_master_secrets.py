from collections.abc import Callable

from grantledger.application.master_secret_ports import IssuedTokens, LiveTokens, SealedRecords, SecretKeeper
from grantledger.application.ports import Clock
from grantledger.domain.master_secrets import UsedSecret

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


class DescribeMasterSecrets:
    """Say of each master secret what is sealed under it: private records, and tokens of live grants."""

    def __init__(
        self, keeper: SecretKeeper, records: SealedRecords, tokens: IssuedTokens, clock: Clock
    ) -> None:
        self._keeper = keeper
        self._records = records
        self._tokens = tokens
        self._clock = clock

    async def __call__(self, progress: Progress = lambda _, __: None) -> tuple[UsedSecret, ...]:
        """Return each that is configured or in use, newest first. Reads the whole log."""
        configured = await self._keeper.key_ids()
        live = await self._tokens.live(now=self._clock.now(), progress=progress)
        records = await self._records.counts()
        missing = sorted((live.keys() | records.keys()) - set(configured))
        return tuple(
            _used(key_id, role, records.get(key_id, 0), live.get(key_id))
            for key_id, role in (
                *zip(configured, ("seals", *["opens"] * (len(configured) - 1)), strict=True),
                *((key_id, "missing") for key_id in missing),
            )
        )


def _used(key_id: str, role: str, records: int, live: LiveTokens | None) -> UsedSecret:
    return UsedSecret(
        key_id=key_id,
        role=role,
        private_records=records,
        live_grants=live.grants if live else 0,
        live_until=live.until if live else None,
    )
