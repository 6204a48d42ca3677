"""The master secrets: added, activated and retired, and what is sealed under each."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.master_secrets import (
    MASTER,
    SECRETS,
    MasterSecrets,
    MasterSecretUnknown,
    UsedSecret,
    check_none_unused,
)


class SecretsUnchangeable(Exception):  # noqa: N818 - a sentence for the operator
    """The master secrets stand where they can only be changed by hand. The message says where."""


class SecretKeeper(Protocol):
    """The configured master secrets by their key ids; a secret itself never leaves it.

    What changes them is durable when it returns, and raises `SecretsUnchangeable`. Processes that run learn
    of it when they are started anew.
    """

    async def key_ids(self) -> Sequence[str]:
        """Return them newest first: the first one seals, all of them open."""
        ...

    async def add(self) -> str:
        """Make a secret, put it last, and return its key id."""
        ...

    async def put_first(self, key_id: str, /) -> None: ...

    async def remove(self, key_id: str, /) -> None: ...


class SealedRecords(Protocol):
    """Private records by the master secret that they are sealed under."""

    async def counts(self) -> Mapping[str, int]:
        """Return by key id how many there are."""
        ...

    def seal_anew(self, key_id: str) -> AsyncIterator[int]:
        """Seal every record that is under another secret, and yield how many each step was.

        Others may read and write them meanwhile. Raises `MasterSecretMissing` at once where this process was
        started without that secret, and at a record whose own is missing; those before it stay done.
        """
        ...


class LiveTokens(Struct, frozen=True):
    """How many live grants have tokens of a secret, and when the last of these tokens ends."""

    grants: int
    until: int


class IssuedTokens(Protocol):
    async def live(self, *, now: int, progress: Callable[[int, int], None]) -> Mapping[str, LiveTokens]:
        """Return what lives by the key id of the secret that it was sealed under."""
        ...


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


class AddMasterSecret:
    """Make a new master secret that opens and seals nothing yet, for every server to learn."""

    def __init__(
        self, ledger: Ledger, keeper: SecretKeeper, describe: DescribeMasterSecrets, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._describe = describe
        self._clock = clock

    async def __call__(self, caller: Caller, progress: Progress = lambda _, __: None) -> str:
        """Return the key id of the new one. Raises `MasterSecretWaits` and `SecretsUnchangeable`."""
        check_none_unused(await self._describe(progress))
        key_id = await self._keeper.add()
        await retry_on_conflict(lambda: self._remember(key_id, caller))
        return key_id

    async def _remember(self, key_id: str, caller: Caller) -> None:
        secrets = await self._ledger.load(SECRETS, MASTER)
        events = (secrets.state or MasterSecrets()).add(key_id, now=self._clock.now())
        await self._ledger.record([secrets.then(events)], by_operator(caller))


class ActivateMasterSecret:
    """Let a master secret seal, and seal every private record anew under it.

    Each step is skipped where it is done: what a crash leaves, the same call finishes.
    """

    def __init__(self, ledger: Ledger, keeper: SecretKeeper, records: SealedRecords, clock: Clock) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._records = records
        self._clock = clock

    async def __call__(self, key_id: str, caller: Caller, progress: Progress = lambda _, __: None) -> int:
        """Return how many records were sealed anew.

        Raises `MasterSecretUnknown`, `SecretsUnchangeable`, and `MasterSecretMissing` where this process was
        started without that secret, or at a record whose own is missing.
        """
        configured = await self._keeper.key_ids()
        if key_id not in configured:
            raise MasterSecretUnknown(key_id)
        batches = self._records.seal_anew(key_id)  # refused before anything is changed
        if key_id != configured[0]:
            await self._keeper.put_first(key_id)
        await retry_on_conflict(lambda: self._remember(key_id, caller))
        waiting = sum(count for under, count in (await self._records.counts()).items() if under != key_id)
        done = 0
        async for batch in batches:
            done += batch
            progress(done, max(done, waiting))
        return done

    async def _remember(self, key_id: str, caller: Caller) -> None:
        secrets = await self._ledger.load(SECRETS, MASTER)
        events = (secrets.state or MasterSecrets()).activate(key_id, now=self._clock.now())
        await self._ledger.record([secrets.then(events)], by_operator(caller))


class RetireMasterSecret:
    """Drop a master secret that nothing alive was sealed under, or whatever lives if it has leaked."""

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
        """One that is gone already is remembered as dropped.

        Raises `MasterSecretUnknown`, `MasterSecretSeals`, `MasterSecretHoldsRecords`, `MasterSecretNeeded`
        without `force`, and `SecretsUnchangeable`.
        """
        found = {one.key_id: one for one in await self._describe(progress)}
        used = found.get(key_id, UsedSecret(key_id=key_id, role="missing"))
        await retry_on_conflict(lambda: self._retire(used, caller, force=force))

    async def _retire(self, used: UsedSecret, caller: Caller, *, force: bool) -> None:
        secrets = await self._ledger.load(SECRETS, MASTER)
        events = (secrets.state or MasterSecrets()).retire(used, force=force, now=self._clock.now())
        # First, so that nothing is remembered that was not done. Cut short here, the next run remembers it.
        if used.key_id in await self._keeper.key_ids():
            await self._keeper.remove(used.key_id)
        await self._ledger.record([secrets.then(events)], by_operator(caller))
