from msgspec import Struct

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import AuthorizationFacts, Clock, DecisionReader, Randomness
from grantledger.application.resources.catalogue import Catalogue
from grantledger.domain.authorization_request import (
    AuthorizationParameters,
    AuthorizationRequest,
    SentBack,
    checked,
    may_redirect_unasked,
    redirect_target,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientUnknown
from grantledger.domain.refusal import Refusal


class StartedAuthorization(Struct, frozen=True):
    """A request that has passed every check, and what was read to check it."""

    request: AuthorizationRequest
    facts: AuthorizationFacts


class StartAuthorization:
    """Check an authorization request before anything is shown or redirected, and record nothing."""

    def __init__(
        self,
        facts: DecisionReader,
        clock: Clock,
        randomness: Randomness,
        policy: ServerPolicy,
        catalogue: Catalogue,
    ) -> None:
        self._facts = facts
        self._clock = clock
        self._randomness = randomness
        self._catalogue = catalogue
        self._lifetime = policy.transaction_lifetime

    def new_transaction_id(self) -> str:
        return self._randomness.new_id()

    async def __call__(
        self,
        asked: AuthorizationParameters,
        session: BrowserSession | None,
        *,
        transaction_id: str | None = None,
        facts: AuthorizationFacts | None = None,
    ) -> StartedAuthorization:
        """Return the request, to be kept in the browser until the user has answered.

        With the `facts` of a new `transaction_id`, which were read with the session, nothing is read. Raises
        `SentBack` if the client may be informed, and the refusals of `redirect_target` if not.
        """
        if asked.client_id is None:
            raise ClientUnknown("no client_id")
        transaction_id = transaction_id or self.new_transaction_id()
        facts = facts or await self._facts.authorization_facts(
            client_id=asked.client_id,
            user_id=session.user_id if session else "",
            session_id=session.session_id if session else "",
            transaction_id=transaction_id,
        )
        client = facts.client.state
        if client is None:
            raise ClientUnknown(asked.client_id)
        target = redirect_target(client, asked)
        offered = await self._catalogue.including(asked.resources)
        try:
            request = checked(
                asked,
                client=client,
                target=target,
                askable=offered.askable,
                transaction_id=transaction_id,
                session_before=session.session_id if session else None,
                now=self._clock.now(),
                lifetime=self._lifetime,
            )
        except Refusal as refusal:
            trusted = may_redirect_unasked(client, target, facts.consent.state if session else None)
            raise SentBack(
                refusal,
                redirect_uri=target,
                state=asked.state,
                issuer=asked.issuer,
                needs_click=not trusted,
            ) from refusal
        return StartedAuthorization(request, facts)
