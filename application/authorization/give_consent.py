from grantledger.application.authorization.issue_code import IssueCode, IssuedCode, asking_client
from grantledger.application.ports import Ledger
from grantledger.application.provenance import Caller
from grantledger.domain.authorization_request import (
    AuthorizationRequest,
    ConsentDenied,
    SentBack,
    SignInNeeded,
)
from grantledger.domain.browser_session import BrowserSession


class GiveConsent:
    """Take the user's answer to the consent page."""

    def __init__(self, ledger: Ledger, issue_code: IssueCode) -> None:
        self._ledger = ledger
        self._issue_code = issue_code

    async def __call__(
        self, request: AuthorizationRequest, session: BrowserSession | None, *, allowed: bool, caller: Caller
    ) -> IssuedCode:
        """Return the code for the client.

        Raises `SignInNeeded` when nobody is signed in (any more), `SentBack` when the user said no, and
        the refusals of `IssueCode`.
        """
        if session is None or request.needs_sign_in(session):
            raise SignInNeeded
        if not allowed:
            await asking_client(self._ledger, request)
            raise SentBack(ConsentDenied(), redirect_uri=request.redirect_uri, state=request.state)
        return await self._issue_code(request, session, caller, consent_given=True)
