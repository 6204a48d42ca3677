from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, Randomness
from grantledger.domain.authorization_request import (
    AuthorizationParameters,
    AuthorizationRequest,
    SentBack,
    checked,
    redirect_target,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import CLIENT, ClientUnknown
from grantledger.domain.refusal import Refusal


class StartAuthorization:
    """Check an authorization request before anything of it is shown or redirected; write nothing."""

    def __init__(self, ledger: Ledger, clock: Clock, randomness: Randomness, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._clock = clock
        self._randomness = randomness
        self._askable = policy.askable
        self._lifetime = policy.transaction_lifetime

    async def __call__(
        self, asked: AuthorizationParameters, session: BrowserSession | None
    ) -> AuthorizationRequest:
        """Return the request, to be kept in the browser until the user has answered.

        Raises `SentBack` where the client may be told, and before that the refusals of `redirect_target`.
        """
        if asked.client_id is None:
            raise ClientUnknown("no client_id")
        client = (await self._ledger.load(CLIENT, asked.client_id)).state
        if client is None:
            raise ClientUnknown(asked.client_id)
        target = redirect_target(client, asked)
        try:
            return checked(
                asked,
                client=client,
                target=target,
                askable=self._askable,
                transaction_id=self._randomness.token(size=12),
                session_before=session.session_id if session else None,
                now=self._clock.now(),
                lifetime=self._lifetime,
            )
        except Refusal as refusal:
            raise SentBack(refusal, redirect_uri=target, state=asked.state) from refusal
