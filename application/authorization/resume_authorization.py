from msgspec import Struct

from grantledger.application.authorization.issue_code import (
    IssueCode,
    IssuedCode,
    allowed_request,
    authorization_facts,
    has_ended,
    usable_client,
)
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import AuthorizationFacts, Clock, DecisionReader
from grantledger.application.provenance import Caller
from grantledger.application.resources.catalogue import Catalogue
from grantledger.domain.authorization_request import (
    AuthorizationRequest,
    ConsentNeeded,
    SentBack,
    SignInNeeded,
    may_redirect_unasked,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.consent import Consent
from grantledger.domain.user_account import UserAccount


class AskToSignIn(Struct, frozen=True, kw_only=True):
    client: ClientRegistration


class AskForConsent(Struct, frozen=True, kw_only=True):
    """`scopes` are those of the request that the user's roles allow.

    `allowed_before` are the scopes that the user has allowed this client before, for the same redirect host
    and resource, and that the user's roles still allow. The request need not ask for all of them.
    """

    client: ClientRegistration
    session: BrowserSession
    scopes: tuple[str, ...]
    allowed_before: tuple[str, ...] = ()


class ResumeAuthorization:
    """Find what an authorization request still needs: a sign-in, consent, or nothing more."""

    def __init__(
        self,
        facts: DecisionReader,
        issue_code: IssueCode,
        clock: Clock,
        policy: ServerPolicy,
        catalogue: Catalogue,
    ) -> None:
        self._roles = policy.roles
        self._facts = facts
        self._issue_code = issue_code
        self._clock = clock
        self._catalogue = catalogue

    async def __call__(
        self,
        request: AuthorizationRequest,
        session: BrowserSession | None,
        caller: Caller,
        facts: AuthorizationFacts | None = None,
    ) -> AskToSignIn | AskForConsent | IssuedCode:
        """Return the page to show, or the code if the user has consented to all of this before.

        With the `facts` that the check of the request has read just now, one read is not needed. Raises
        `ClientUnknown`, `ClientIsDisabled`, `UserIsDisabled`, `AlreadyConnected`, `TransactionSpent`,
        `NoLongerOffered`, and `SentBack` if a page is needed but the client allowed none (`prompt=none`), or
        if the user's roles allow no scope.
        """
        offered = await self._catalogue.including((request.resource,))
        offered.offer.check_all(request.scopes, resource=request.resource)
        facts = facts or await authorization_facts(self._facts, request, session)
        client = usable_client(facts.client, request)
        if session is not None and has_ended(session, facts, now=self._clock.now()):
            session = None
        if session is None or request.needs_sign_in(session):
            if request.allows_no_page:
                raise _sent_back(request, SignInNeeded(), client, facts.consent.state if session else None)
            return AskToSignIn(client=client)
        request = allowed_request(request, facts, self._roles, has_clicked=False)
        is_answered = facts.code.version > 0
        consent = facts.consent.state
        if is_answered or not request.needs_consent_page(facts.consent.state, client):
            try:
                return await self._issue_code(request, session, caller, consent_given=False, facts=facts)
            except ConsentNeeded:  # the consent was withdrawn since it was read
                consent = None
        if request.allows_no_page:
            raise _sent_back(request, ConsentNeeded(), client, facts.consent.state)
        return AskForConsent(
            client=client,
            session=session,
            scopes=request.scopes,
            allowed_before=self._allowed_before(request, consent, facts.user.state),
        )

    def _allowed_before(
        self, request: AuthorizationRequest, consent: Consent | None, user: UserAccount | None
    ) -> tuple[str, ...]:
        if consent is None or user is None:
            return ()
        return self._roles.held(user.roles).allowed(consent.allowed_before(request.asked))


def _sent_back(
    request: AuthorizationRequest,
    refusal: SignInNeeded | ConsentNeeded,
    client: ClientRegistration,
    consent: Consent | None,
) -> SentBack:
    trusted = may_redirect_unasked(client, request.redirect_uri, consent)
    return SentBack(
        refusal,
        redirect_uri=request.redirect_uri,
        state=request.state,
        issuer=request.issuer,
        needs_click=not trusted,
    )
