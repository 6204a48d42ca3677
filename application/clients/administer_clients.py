"""What an operator decides about a client."""

from abc import ABC, abstractmethod

from grantledger.application.decide import decide
from grantledger.application.ports import Clock, Ledger, Randomness
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.resources.administer_resources import SECRET_OVERLAP
from grantledger.domain.client_registration import CLIENT, ClientRegistration, ClientUnknown, Event
from grantledger.domain.digests import digest


class _ClientDecision(ABC):
    """One decision about one client."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, caller: Caller) -> None:
        """Raises `ClientUnknown`, also for a deleted client."""
        unknown = ClientUnknown(client_id)

        def decision(client: ClientRegistration) -> tuple[Event, ...]:
            if client.deleted:
                raise unknown
            return self._decide(client, now=self._clock.now())

        await decide(self._ledger, CLIENT, client_id, decision, unknown=unknown, by=by_operator(caller))

    @abstractmethod
    def _decide(self, client: ClientRegistration, *, now: int) -> tuple[Event, ...]: ...


class DisableClient(_ClientDecision):
    """Refuse a client and all its grants until an operator enables it again."""

    def _decide(self, client: ClientRegistration, *, now: int) -> tuple[Event, ...]:
        return client.disable(now=now)


class EnableClient(_ClientDecision):
    """Accept a disabled client again, with the grants it had."""

    def _decide(self, client: ClientRegistration, *, now: int) -> tuple[Event, ...]:
        return client.enable(now=now)


class ApproveClient(_ClientDecision):
    """Vouch for a client: its consents may be remembered, and the consent page shows no warning about it."""

    def _decide(self, client: ClientRegistration, *, now: int) -> tuple[Event, ...]:
        return client.approve(now=now)


class WithdrawApproval(_ClientDecision):
    """Stop vouching for a client."""

    def _decide(self, client: ClientRegistration, *, now: int) -> tuple[Event, ...]:
        return client.withdraw_approval(now=now)


class LimitAccessTokens:
    """Limit the lifetime of a client's access tokens. Tokens that were issued keep their expiry."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, client_id: str, lifetime: int | None, caller: Caller) -> None:
        """Without `lifetime` the client has no limit of its own. Raises `ClientUnknown`."""
        unknown = ClientUnknown(client_id)

        def decision(client: ClientRegistration) -> tuple[Event, ...]:
            if client.deleted:
                raise unknown
            return client.limit_access_tokens(lifetime, now=self._clock.now())

        await decide(self._ledger, CLIENT, client_id, decision, unknown=unknown, by=by_operator(caller))


class RotateClientSecret:
    """Make another secret for a confidential client."""

    def __init__(self, ledger: Ledger, clock: Clock, randomness: Randomness) -> None:
        self._ledger = ledger
        self._clock = clock
        self._randomness = randomness

    async def __call__(self, client_id: str, caller: Caller, *, compromised: bool = False) -> str:
        """Return the new secret, which is stored only as a digest.

        The previous secret is accepted for another hour, so that the client can be changed; if it is
        `compromised`, it is refused at once. Raises `ClientUnknown`, `ClientHasNoSecret`.
        """
        secret = self._randomness.token("glcs_")

        def decision(client: ClientRegistration) -> tuple[Event, ...]:
            return client.rotate_secret(
                secret_digest=digest(secret),
                overlap=0 if compromised else SECRET_OVERLAP,
                now=self._clock.now(),
            )

        await decide(
            self._ledger,
            CLIENT,
            client_id,
            decision,
            unknown=ClientUnknown(client_id),
            by=by_operator(caller),
        )
        return secret


class DeleteClient(_ClientDecision):
    """Delete a client with all its grants. It may register again, but gets none of them back."""

    def _decide(self, client: ClientRegistration, *, now: int) -> tuple[Event, ...]:
        return client.delete(now=now)
