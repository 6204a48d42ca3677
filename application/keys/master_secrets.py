"""Adding, activating and retiring master secrets, and what is sealed under each."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.master_secrets import (
    MASTER,
    SECRETS,
    MasterSecretHistory,
    MasterSecretUnknown,
    UsedSecret,
    check_none_unused,
)


class SecretsUnchangeable(Exception):  # noqa: N818 - a sentence for the operator
    """The master secrets are configured where only the operator can change them. The message says where."""


class SecretKeeper(Protocol):
    """The configured master secrets by their key ids. It never returns a secret itself.

    Every change is durable when the call returns, and may raise `SecretsUnchangeable`. Running processes read
    the change when they are restarted.
    """

    async def key_ids(self) -> Sequence[str]:
        """Return the key ids. The first secret seals, all of them can unseal."""
        ...

    async def add(self) -> str:
        """Make a secret, add it last, and return its key id."""
        ...

    async def put_first(self, key_id: str, /) -> None: ...

    async def remove(self, key_id: str, /) -> None: ...


class SealedRecords(Protocol):
    """The private records, and the master secret that each is sealed under."""

    async def counts(self) -> Mapping[str, int]:
        """Return the number of records by key id."""
        ...

    def reseal(self, key_id: str) -> AsyncIterator[int]:
        """Seal all records that are under other secrets under this one, and yield the number of each step.

        Records can be read and written during that. Raises `MasterSecretMissing` at once if this process was
        started without the new secret, and later at a record whose current secret is missing. Records before
        it stay resealed.
        """
        ...


class LiveTokens(Struct, frozen=True):
    """How many live grants have tokens sealed under a secret, and when the last token expires."""

    grants: int
    until: int


class IssuedTokens(Protocol):
    async def live(self, *, now: int, progress: Callable[[int, int], None]) -> Mapping[str, LiveTokens]:
        """Return the live tokens by key id of the secret that sealed them."""
        ...


Progress = Callable[[int, int], None]
"""A function that is called with the amount that is done and the total."""


class DescribeMasterSecrets:
    """Count what is sealed under each master secret: private records and tokens of live grants."""

    def __init__(
        self, keeper: SecretKeeper, records: SealedRecords, tokens: IssuedTokens, clock: Clock
    ) -> None:
        self._keeper = keeper
        self._records = records
        self._tokens = tokens
        self._clock = clock

    async def __call__(self, progress: Progress = lambda _, __: None) -> tuple[UsedSecret, ...]:
        """Return each secret that is configured or in use. Reads the whole log."""
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


class AddMasterSecret:
    """Add a new master secret that seals nothing yet, so that every server can read it first."""

    def __init__(
        self, ledger: Ledger, keeper: SecretKeeper, describe: DescribeMasterSecrets, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._describe = describe
        self._clock = clock

    async def __call__(self, caller: Caller, progress: Progress = lambda _, __: None) -> str:
        """Return the new key id. Raises `MasterSecretWaits` and `SecretsUnchangeable`."""
        check_none_unused(await self._describe(progress))
        key_id = await self._keeper.add()
        await retry_on_conflict(lambda: self._record(key_id, caller))
        return key_id

    async def _record(self, key_id: str, caller: Caller) -> None:
        secrets = await self._ledger.load(SECRETS, MASTER)
        events = (secrets.state or MasterSecretHistory()).add(key_id, now=self._clock.now())
        await self._ledger.record([secrets.then(events)], by_operator(caller))


class ActivateMasterSecret:
    """Make a master secret the one that seals, and reseal every private record under it.

    Steps that are done already are skipped, so that calling it again finishes after a crash.
    """

    def __init__(self, ledger: Ledger, keeper: SecretKeeper, records: SealedRecords, clock: Clock) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._records = records
        self._clock = clock

    async def __call__(self, key_id: str, caller: Caller, progress: Progress = lambda _, __: None) -> int:
        """Return how many records were resealed.

        Raises `MasterSecretUnknown`, `SecretsUnchangeable`, and `MasterSecretMissing` if this process was
        started without that secret, or at a record whose own secret is missing.
        """
        configured = await self._keeper.key_ids()
        if key_id not in configured:
            raise MasterSecretUnknown(key_id)
        batches = self._records.reseal(key_id)  # raises before anything is changed if the secret is missing
        if key_id != configured[0]:
            await self._keeper.put_first(key_id)
        await retry_on_conflict(lambda: self._record(key_id, caller))
        remaining = sum(count for under, count in (await self._records.counts()).items() if under != key_id)
        done = 0
        async for batch in batches:
            done += batch
            progress(done, max(done, remaining))
        return done

    async def _record(self, key_id: str, caller: Caller) -> None:
        secrets = await self._ledger.load(SECRETS, MASTER)
        events = (secrets.state or MasterSecretHistory()).activate(key_id, now=self._clock.now())
        await self._ledger.record([secrets.then(events)], by_operator(caller))


class RetireMasterSecret:
    """Retire a master secret that is no longer needed, or with `force` one that has leaked."""

    def __init__(
        self, ledger: Ledger, keeper: SecretKeeper, describe: DescribeMasterSecrets, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._describe = describe
        self._clock = clock

    async def __call__(
        self, key_id: str, caller: Caller, progress: Progress = lambda _, __: None, *, force: bool = False
    ) -> None:
        """Remove the secret and record it. A secret that was removed by hand is recorded as retired.

        Raises `MasterSecretUnknown`, `MasterSecretSeals`, `MasterSecretHoldsRecords`, `MasterSecretNeeded`
        without `force`, and `SecretsUnchangeable`.
        """
        found = {one.key_id: one for one in await self._describe(progress)}
        used = found.get(key_id, UsedSecret(key_id=key_id, role="missing"))
        await retry_on_conflict(lambda: self._retire(used, caller, force=force))

    async def _retire(self, used: UsedSecret, caller: Caller, *, force: bool) -> None:
        secrets = await self._ledger.load(SECRETS, MASTER)
        events = (secrets.state or MasterSecretHistory()).retire(used, force=force, now=self._clock.now())
        # Remove before recording, so that nothing is recorded that was not done. After a crash in between,
        # the next call records it.
        if used.key_id in await self._keeper.key_ids():
            await self._keeper.remove(used.key_id)
        await self._ledger.record([secrets.then(events)], by_operator(caller))
