from contextlib import suppress

from msgspec import Struct

from grantledger.application.authorization.issue_code import IssueCode, IssuedCode, asking_client
from grantledger.application.ports import Ledger
from grantledger.application.provenance import Caller
from grantledger.domain.authorization_request import (
    AuthorizationRequest,
    ConsentNeeded,
    SentBack,
    SignInNeeded,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.consent import CONSENT, consent_key


class AskToSignIn(Struct, frozen=True, kw_only=True):
    client: ClientRegistration


class AskForConsent(Struct, frozen=True, kw_only=True):
    client: ClientRegistration
    session: BrowserSession


class ResumeAuthorization:
    """Find what an authorization request still needs: a sign-in, a yes, or nothing more."""

    def __init__(self, ledger: Ledger, issue_code: IssueCode) -> None:
        self._ledger = ledger
        self._issue_code = issue_code

    async def __call__(
        self, request: AuthorizationRequest, session: BrowserSession | None, caller: Caller
    ) -> AskToSignIn | AskForConsent | IssuedCode:
        """Return the page to show, or the code where the user has said yes to all of this before.

        Raises `ClientUnknown`, `ClientIsDisabled`, `UserIsDisabled`, `TransactionSpent`, and `SentBack` where
        a page is needed and the client allowed none.
        """
        client = await asking_client(self._ledger, request)
        if session is None or request.needs_sign_in(session):
            if request.allows_no_page:
                raise _sent_back(request, SignInNeeded())
            return AskToSignIn(client=client)
        consent = await self._ledger.load(CONSENT, consent_key(session.user_id, request.client_id))
        if not request.needs_consent_page(consent.state, client):
            with suppress(ConsentNeeded):  # the yes was taken back since it was read
                return await self._issue_code(request, session, caller, consent_given=False)
        if request.allows_no_page:
            raise _sent_back(request, ConsentNeeded())
        return AskForConsent(client=client, session=session)


def _sent_back(request: AuthorizationRequest, refusal: SignInNeeded | ConsentNeeded) -> SentBack:
    return SentBack(refusal, redirect_uri=request.redirect_uri, state=request.state)
