from collections.abc import Collection

from grantledger.application.authorization.issue_code import (
    IssueCode,
    IssuedCode,
    asking_client,
    check_unanswered,
)
from grantledger.application.ports import AuthorizationFacts, Ledger
from grantledger.application.provenance import Caller
from grantledger.domain.authorization_code import CODE
from grantledger.domain.authorization_request import (
    AuthorizationRequest,
    ConsentDenied,
    SentBack,
    SignInNeeded,
)
from grantledger.domain.browser_session import BrowserSession


class GiveConsent:
    """Handle the user's decision on the consent page."""

    def __init__(self, ledger: Ledger, issue_code: IssueCode) -> None:
        self._ledger = ledger
        self._issue_code = issue_code

    async def __call__(
        self,
        request: AuthorizationRequest,
        session: BrowserSession | None,
        *,
        allowed: bool,
        caller: Caller,
        shown: Collection[str] | None = None,
        facts: AuthorizationFacts | None = None,
    ) -> IssuedCode:
        """Return the code for the client.

        `shown` are the scopes that the page has shown; None means all scopes of the request. A role that the
        user has got since then must not add a scope that the page did not show. `facts` are as for
        `IssueCode`.

        Raises `SignInNeeded` without a usable session, `SentBack` if the user denied a request that was not
        answered before, and the refusals of `IssueCode`.
        """
        if session is None or request.needs_sign_in(session):
            raise SignInNeeded
        scopes = request.scopes if shown is None else tuple(s for s in request.scopes if s in shown)
        if not allowed or not scopes:
            await asking_client(self._ledger, request)
            check_unanswered(await self._ledger.load(CODE, request.transaction_id))
            raise SentBack(
                ConsentDenied(), redirect_uri=request.redirect_uri, state=request.state, issuer=request.issuer
            )
        return await self._issue_code(
            request.of_scopes(scopes), session, caller, consent_given=True, facts=facts
        )
