"""What an operator decides about a client."""

from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.client_registration import CLIENT, ClientUnknown


class DisableClient:
    """Refuse a client and all that it was granted, until an operator decides otherwise."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, caller: Caller) -> None:
        """Raises `ClientUnknown`."""
        await retry_on_conflict(lambda: self._disable(client_id, caller))

    async def _disable(self, client_id: str, caller: Caller) -> None:
        client = await self._ledger.load(CLIENT, client_id)
        if client.state is None or client.state.deleted:
            raise ClientUnknown(client_id)
        events = client.state.disable(now=self._clock.now())
        if events:
            await self._ledger.record([client.then(events)], by_operator(caller))


class EnableClient:
    """Let a disabled client go on, with what it was granted before."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, caller: Caller) -> None:
        """Raises `ClientUnknown`."""
        await retry_on_conflict(lambda: self._enable(client_id, caller))

    async def _enable(self, client_id: str, caller: Caller) -> None:
        client = await self._ledger.load(CLIENT, client_id)
        if client.state is None or client.state.deleted:
            raise ClientUnknown(client_id)
        events = client.state.enable(now=self._clock.now())
        if events:
            await self._ledger.record([client.then(events)], by_operator(caller))


class ApproveClient:
    """Vouch for a client, so that what its users allowed it is remembered wherever that is safe."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, caller: Caller) -> None:
        """Raises `ClientUnknown`."""
        await retry_on_conflict(lambda: self._approve(client_id, caller))

    async def _approve(self, client_id: str, caller: Caller) -> None:
        client = await self._ledger.load(CLIENT, client_id)
        if client.state is None or client.state.deleted:
            raise ClientUnknown(client_id)
        events = client.state.approve(now=self._clock.now())
        if events:
            await self._ledger.record([client.then(events)], by_operator(caller))


class WithdrawApproval:
    """Take back that an operator vouches for a client."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, caller: Caller) -> None:
        """Raises `ClientUnknown`."""
        await retry_on_conflict(lambda: self._withdraw(client_id, caller))

    async def _withdraw(self, client_id: str, caller: Caller) -> None:
        client = await self._ledger.load(CLIENT, client_id)
        if client.state is None or client.state.deleted:
            raise ClientUnknown(client_id)
        events = client.state.withdraw_approval(now=self._clock.now())
        if events:
            await self._ledger.record([client.then(events)], by_operator(caller))


class DeleteClient:
    """Forget a client and all that it was granted; it may register anew, without that."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, caller: Caller) -> None:
        """Raises `ClientUnknown`."""
        await retry_on_conflict(lambda: self._delete(client_id, caller))

    async def _delete(self, client_id: str, caller: Caller) -> None:
        client = await self._ledger.load(CLIENT, client_id)
        if client.state is None or client.state.deleted:
            raise ClientUnknown(client_id)
        events = client.state.delete(now=self._clock.now())
        if events:
            await self._ledger.record([client.then(events)], by_operator(caller))
