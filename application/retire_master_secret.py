from grantledger.application.describe_master_secrets import DescribeMasterSecrets, Progress
from grantledger.application.master_secret_ports import SecretKeeper
from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.master_secrets import MASTER, SECRETS, MasterSecrets, UsedSecret


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
        await settle(lambda: self._retire(used, caller, force=force))

    async def _retire(self, used: UsedSecret, caller: Caller, *, force: bool) -> None:
        secrets = await self._ledger.load(SECRETS, MASTER)
        events = (secrets.state or MasterSecrets()).retire(used, force=force, now=self._clock.now())
        # First, so that nothing is remembered that was not done. Cut short here, the next run remembers it.
        if used.key_id in await self._keeper.key_ids():
            await self._keeper.remove(used.key_id)
        await self._ledger.record([secrets.then(events)], by_operator(caller))
