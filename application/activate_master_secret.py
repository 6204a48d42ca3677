from grantledger.application.describe_master_secrets import Progress
from grantledger.application.master_secret_ports import SealedRecords, SecretKeeper
from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.master_secrets import MASTER, SECRETS, MasterSecrets, MasterSecretUnknown


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
        await settle(lambda: self._remember(key_id, caller))
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
