"""Adding and revoking registration tokens."""

from collections.abc import Callable

from msgspec import Struct

from grantledger.application.ports import Clock, Ledger, Randomness
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.digests import digest
from grantledger.domain.registration_tokens import (
    PREFIX,
    REGISTRATION,
    REGISTRATION_TOKENS,
    Event,
    RegistrationTokens,
)


class NewRegistrationToken(Struct, frozen=True, kw_only=True):
    """A registration token with its value, which is stored only as a digest."""

    token_id: str
    name: str
    token: str


class AddRegistrationToken:
    """Make a registration token."""

    def __init__(self, ledger: Ledger, clock: Clock, randomness: Randomness) -> None:
        self._ledger = ledger
        self._clock = clock
        self._randomness = randomness

    async def __call__(self, name: str, caller: Caller) -> NewRegistrationToken:
        """Raises `TooManyRegistrationTokens`."""
        new = NewRegistrationToken(
            # The prefix keeps the command line from taking an id that begins with a dash for an option.
            token_id=self._randomness.token("t_", size=6),
            name=name,
            token=self._randomness.token(PREFIX),
        )
        await _record(
            self._ledger,
            lambda tokens: tokens.add(
                token_id=new.token_id, name=name, secret_digest=digest(new.token), now=self._clock.now()
            ),
            caller,
        )
        return new


class RevokeRegistrationToken:
    """Refuse a registration token from now on. The clients that registered with it stay."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, token_id: str, caller: Caller) -> None:
        """Raises `RegistrationTokenUnknown`."""
        await _record(self._ledger, lambda tokens: tokens.revoke(token_id, now=self._clock.now()), caller)


async def _record(
    ledger: Ledger, decision: Callable[[RegistrationTokens], tuple[Event, ...]], caller: Caller
) -> None:
    async def attempt() -> None:
        loaded = await ledger.load(REGISTRATION_TOKENS, REGISTRATION)
        events = decision(loaded.state or RegistrationTokens())
        await ledger.record([loaded.then(events)], by_operator(caller))

    await retry_on_conflict(attempt)
