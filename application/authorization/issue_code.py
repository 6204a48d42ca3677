from typing import Any

from msgspec import Struct

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import AuthorizationFacts, Clock, CodeSealer, DecisionReader, Ledger
from grantledger.application.provenance import Caller, by_user
from grantledger.application.resources.catalogue import Catalogue
from grantledger.application.retry import retry_on_conflict
from grantledger.application.throttling import ActionLimit
from grantledger.domain.aggregate import Change, Versioned
from grantledger.domain.authorization_code import AuthorizationCode, CodeIssued
from grantledger.domain.authorization_request import (
    AlreadyConnected,
    AuthorizationRequest,
    ConsentNeeded,
    SentBack,
    SignInNeeded,
    TransactionSpent,
    may_redirect_unasked,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import CLIENT, ClientRegistration, ClientUnknown
from grantledger.domain.consent import give
from grantledger.domain.role import Roles, RolesAllowNoScope
from grantledger.domain.user_account import UserIsDisabled


async def asking_client(ledger: Ledger, request: AuthorizationRequest) -> ClientRegistration:
    """Load the client of the request and return it. Raises `ClientUnknown`, `ClientIsDisabled`."""
    return usable_client(await ledger.load(CLIENT, request.client_id), request)


def usable_client(client: Versioned[ClientRegistration], request: AuthorizationRequest) -> ClientRegistration:
    """Return the loaded client of the request. Raises `ClientUnknown`, `ClientIsDisabled`."""
    if client.state is None:
        raise ClientUnknown(request.client_id)
    client.state.check_usable(request.client_registration)
    return client.state


def check_unanswered(code: Versioned[AuthorizationCode]) -> None:
    """Raise `AlreadyConnected` or `TransactionSpent` if the transaction of the code was answered before."""
    if code.version > 1:  # issued and redeemed: the version remains when the state is deleted
        raise AlreadyConnected
    if code.version:
        raise TransactionSpent


async def authorization_facts(
    reader: DecisionReader, request: AuthorizationRequest, session: BrowserSession | None
) -> AuthorizationFacts:
    """Read everything that decides the request. `session` is None if nobody is signed in."""
    return await reader.authorization_facts(
        client_id=request.client_id,
        user_id=session.user_id if session else "",
        session_id=session.session_id if session else "",
        transaction_id=request.transaction_id,
    )


def has_ended(session: BrowserSession, facts: AuthorizationFacts, *, now: int) -> bool:
    """Whether the browser session of a request has ended since it was found."""
    user = facts.user.state
    if user is None or user.session_epoch != session.session_epoch:
        return True
    if not session.secret_digest:  # a host's session: only the host can end it
        return False
    held = facts.session.state
    return held is None or held.signed_out or now >= held.expires_at


def allowed_request(
    request: AuthorizationRequest, facts: AuthorizationFacts, roles: Roles, *, has_clicked: bool
) -> AuthorizationRequest:
    """Return the request for those scopes that the roles of the signed-in user allow.

    `has_clicked` means that the user has answered on our page, so that a redirect needs no other click.
    Raises `SentBack` if no scope is left.
    """
    client, user, consent = facts.client.state, facts.user.state, facts.consent.state
    assert client is not None
    assert user is not None
    try:
        return request.of_scopes(roles.held(user.roles).left_of(request.scopes))
    except RolesAllowNoScope as refusal:
        trusted = has_clicked or may_redirect_unasked(client, request.redirect_uri, consent)
        raise SentBack(
            refusal,
            redirect_uri=request.redirect_uri,
            state=request.state,
            issuer=request.issuer,
            needs_click=not trusted,
        ) from None


class IssuedCode(Struct, frozen=True, kw_only=True):
    """A successful authorization response (OAuth 2.1 section 4.1.2). `issuer` is as in the request."""

    redirect_uri: str
    code: str
    state: str | None
    issuer: str | None = None


class IssueCode:
    """Answer an authorization request, once, and remember the user's consent."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        facts: DecisionReader,
        clock: Clock,
        codes: CodeSealer,
        policy: ServerPolicy,
        catalogue: Catalogue,
        limit: ActionLimit,
    ) -> None:
        self._ledger = ledger
        self._facts = facts
        self._clock = clock
        self._codes = codes
        self._lifetime = policy.code_lifetime
        self._roles = policy.roles
        self._limit = limit
        self._catalogue = catalogue

    async def __call__(
        self,
        request: AuthorizationRequest,
        session: BrowserSession,
        caller: Caller,
        *,
        consent_given: bool,
        facts: AuthorizationFacts | None = None,
    ) -> IssuedCode:
        """Return the code for the client: the same code again until it is redeemed.

        So a lost response can be repeated, and a form that is sent twice has the same result as one sent
        once. The code is for those scopes that the user's roles allow. `consent_given` means that the user
        has consented to this request, not only to an earlier one. With `facts`, the first read is not needed.
        Raises `ClientUnknown`, `ClientIsDisabled`, `UserIsDisabled`, `SignInNeeded` when the session has
        ended, `AlreadyConnected` once the code is redeemed, `TransactionSpent`, `TransactionExpired`,
        `NoLongerOffered`, `SentBack` if the user's roles allow no scope, and `ConsentNeeded` without consent.
        """
        read = [facts] if facts is not None else []
        return await retry_on_conflict(
            lambda: self._issue(
                request, session, caller, consent_given=consent_given, facts=read.pop() if read else None
            )
        )

    async def _issue(
        self,
        request: AuthorizationRequest,
        session: BrowserSession,
        caller: Caller,
        *,
        consent_given: bool,
        facts: AuthorizationFacts | None,
    ) -> IssuedCode:
        now = self._clock.now()
        request.check_open(now=now)
        offered = await self._catalogue.including((request.resource,))
        offered.offer.check_all(request.scopes, resource=request.resource)
        facts = facts or await authorization_facts(self._facts, request, session)
        usable_client(facts.client, request)
        user = facts.user.state
        if user is None:
            raise UserIsDisabled(session.user_id)
        user.check_usable()
        if has_ended(session, facts, now=now):
            raise SignInNeeded
        request = allowed_request(request, facts, self._roles, has_clicked=consent_given)
        code = self._codes.code_of(request.transaction_id)
        answer = IssuedCode(
            redirect_uri=request.redirect_uri, code=code, state=request.state, issuer=request.issuer
        )
        issued = facts.code
        if issued.state is not None and issued.state.can_be_sent_again(user_id=user.user_id, now=now):
            return answer
        check_unanswered(issued)
        given = give(
            facts.consent.state, request.asked, user_id=user.user_id, client_id=request.client_id, now=now
        )
        if given and not consent_given:
            raise ConsentNeeded
        # The consent is recorded first, because it is the cause of the code.
        changes: list[Change[Any]] = [
            facts.consent.then(given),
            issued.then([self._issued(request, session, now)]),
            facts.client.unchanged(),
            facts.user.unchanged(),
            facts.session.unchanged(),
        ]
        by = by_user(user.user_id, caller)
        with self._limit.counted(session.session_id, within=user.user_id):
            await self._ledger.record(changes, by)
        return answer

    def _issued(self, request: AuthorizationRequest, session: BrowserSession, now: int) -> CodeIssued:
        return CodeIssued(
            transaction_id=request.transaction_id,
            client_id=request.client_id,
            client_registration=request.client_registration,
            user_id=session.user_id,
            session_id=session.session_id,
            redirect_uri=request.redirect_uri,
            scopes=request.scopes,
            resource=request.resource,
            code_challenge=request.code_challenge,
            issued_at=now,
            expires_at=now + self._lifetime,
            auth_time=session.signed_in_at,
            nonce=request.nonce,
        )
