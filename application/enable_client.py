from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.client_registration import CLIENT, ClientUnknown


class EnableClient:
    """Let a disabled client go on, with what it was granted before."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, caller: Caller) -> None:
        """Raises `ClientUnknown`."""
        await settle(lambda: self._enable(client_id, caller))

    async def _enable(self, client_id: str, caller: Caller) -> None:
        client = await self._ledger.load(CLIENT, client_id)
        if client.state is None or client.state.deleted:
            raise ClientUnknown(client_id)
        events = client.state.enable(now=self._clock.now())
        if events:
            await self._ledger.record([client.then(events)], by_operator(caller))
