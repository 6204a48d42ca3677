from grantledger.application.make_signing_keys import private_halves
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, SigningKeyMaker
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.races import settle
from grantledger.domain.signing_keys import KEYS, SIGNING, SigningKeys, begin


class RotateSigningKey:
    """Let the announced key sign, and announce the one after it; what is signed already stays good."""

    def __init__(self, ledger: Ledger, maker: SigningKeyMaker, clock: Clock, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._maker = maker
        self._clock = clock
        self._lead = policy.signing_key_lead
        self._verified_for = policy.signing_key_verified_for

    async def __call__(self, caller: Caller, *, compromised: bool = False) -> SigningKeys:
        """Return the keys as they are now; the first rotation of all makes the first keys.

        `compromised` withdraws every key at once, the announced one too: it lies where the other was found.

        Raises `NextKeyTooNew`.
        """
        return await settle(lambda: self._rotate(caller, compromised=compromised))

    async def _rotate(self, caller: Caller, *, compromised: bool) -> SigningKeys:
        keys = await self._ledger.load(KEYS, SIGNING)
        now = self._clock.now()
        fresh, another = made = [self._maker.make(), self._maker.make()]
        if keys.state is None:
            events = begin(fresh.key, another.key, now=now)
        elif compromised:
            events = keys.state.replace_all(fresh.key, another.key, now=now)
        else:
            events = keys.state.rotate(fresh.key, lead=self._lead, verified_for=self._verified_for, now=now)
            made = [fresh]
        await self._ledger.record([keys.then(events)], by_operator(caller), private_halves(made))
        after = keys.evolved(events).state
        assert after is not None
        return after
