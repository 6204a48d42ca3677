from grantledger.application.describe_master_secrets import DescribeMasterSecrets, Progress
from grantledger.application.master_secret_ports import SecretKeeper
from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.master_secrets import MASTER, SECRETS, MasterSecrets, check_none_waits


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
        check_none_waits(await self._describe(progress))
        key_id = await self._keeper.add()
        await settle(lambda: self._remember(key_id, caller))
        return key_id

    async def _remember(self, key_id: str, caller: Caller) -> None:
        secrets = await self._ledger.load(SECRETS, MASTER)
        events = (secrets.state or MasterSecrets()).add(key_id, now=self._clock.now())
        await self._ledger.record([secrets.then(events)], by_operator(caller))
