from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.client_registration import CLIENT, ClientUnknown


class ApproveClient:
    """Vouch for a client, so that what its users allowed it is remembered wherever that is safe."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, caller: Caller) -> None:
        """Raises `ClientUnknown`."""
        await settle(lambda: self._approve(client_id, caller))

    async def _approve(self, client_id: str, caller: Caller) -> None:
        client = await self._ledger.load(CLIENT, client_id)
        if client.state is None or client.state.deleted:
            raise ClientUnknown(client_id)
        events = client.state.approve(now=self._clock.now())
        if events:
            await self._ledger.record([client.then(events)], by_operator(caller))
