from collections.abc import Sequence

from grantledger.application.ports import PRIVATE_KEY, Clock, KeyPair, Ledger, PrivateRecord, SigningKeyMaker
from grantledger.application.provenance import Caller, by_system
from grantledger.application.races import settle
from grantledger.domain.signing_keys import KEYS, SIGNING, begin


class MakeSigningKeys:
    """Make the first keys, unless there are some; of several processes at once exactly one does."""

    def __init__(self, ledger: Ledger, maker: SigningKeyMaker, clock: Clock) -> None:
        self._ledger = ledger
        self._maker = maker
        self._clock = clock

    async def __call__(self, caller: Caller) -> None:
        await settle(lambda: self._make(caller))

    async def _make(self, caller: Caller) -> None:
        keys = await self._ledger.load(KEYS, SIGNING)
        if keys.state is not None:
            return
        active, following = self._maker.make(), self._maker.make()
        events = begin(active.key, following.key, now=self._clock.now())
        await self._ledger.record([keys.then(events)], by_system(caller), private_halves((active, following)))


def private_halves(pairs: Sequence[KeyPair]) -> list[PrivateRecord]:
    """Return what is kept sealed beside the events that name the keys."""
    return [PrivateRecord(subject=pair.key.kid, name=PRIVATE_KEY, value=pair.private) for pair in pairs]
