from typing import Any

from msgspec import Struct

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, CodeSealer, Ledger, TransactionReader
from grantledger.application.provenance import Caller, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.aggregate import Change
from grantledger.domain.authorization_code import CODE, CodeIssued
from grantledger.domain.authorization_request import AuthorizationRequest, ConsentNeeded, TransactionSpent
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import CLIENT, ClientRegistration, ClientUnknown
from grantledger.domain.consent import CONSENT, consent_key, give
from grantledger.domain.digests import digest
from grantledger.domain.user_account import USER, UserIsDisabled


async def asking_client(ledger: Ledger, request: AuthorizationRequest) -> ClientRegistration:
    """Return the client that asks, if it still may. Raises `ClientUnknown`, `ClientIsDisabled`."""
    client = (await ledger.load(CLIENT, request.client_id)).state
    if client is None:
        raise ClientUnknown(request.client_id)
    client.check_usable(request.client_registration)
    return client


class IssuedCode(Struct, frozen=True, kw_only=True):
    """A successful authorization response (OAuth 2.1 section 4.1.2)."""

    redirect_uri: str
    code: str
    state: str | None


class IssueCode:
    """Answer an authorization request, once, and remember what the user said yes to."""

    def __init__(
        self,
        ledger: Ledger,
        transactions: TransactionReader,
        clock: Clock,
        codes: CodeSealer,
        policy: ServerPolicy,
    ) -> None:
        self._ledger = ledger
        self._transactions = transactions
        self._clock = clock
        self._codes = codes
        self._lifetime = policy.code_lifetime

    async def __call__(
        self, request: AuthorizationRequest, session: BrowserSession, caller: Caller, *, consent_given: bool
    ) -> IssuedCode:
        """Return the code for the client: the same one again while nobody has come with it yet.

        So an answer that was lost, or a form that was sent twice, ends as one that was sent once.
        `consent_given`: to this very request, and not only to one before it.
        Raises `ClientUnknown`, `ClientIsDisabled`, `UserIsDisabled`, `TransactionSpent`,
        `TransactionExpired`, and `ConsentNeeded` where nobody said yes and no earlier yes covers it.
        """
        return await retry_on_conflict(
            lambda: self._issue(request, session, caller, consent_given=consent_given)
        )

    async def _issue(
        self, request: AuthorizationRequest, session: BrowserSession, caller: Caller, *, consent_given: bool
    ) -> IssuedCode:
        now = self._clock.now()
        request.check_open(now=now)
        await asking_client(self._ledger, request)
        user = (await self._ledger.load(USER, session.user_id)).state
        if user is None:
            raise UserIsDisabled(session.user_id)
        user.check_usable()
        code = self._codes.code_of(request.transaction_id)
        answer = IssuedCode(redirect_uri=request.redirect_uri, code=code, state=request.state)
        # Asked of the transaction too: its code was another one under another master secret. And first: the
        # same form, sent twice, may spend it between the two reads, and its code is there to be given again.
        spent = await self._transactions.is_spent(request.transaction_id)
        issued = await self._ledger.load(CODE, digest(code))
        if issued.state is not None and issued.state.can_be_sent_again(user_id=user.user_id, now=now):
            return answer
        if spent or issued.state is not None:
            raise TransactionSpent
        consent = await self._ledger.load(CONSENT, consent_key(user.user_id, request.client_id))
        given = give(consent.state, request.asked, user_id=user.user_id, client_id=request.client_id, now=now)
        if given and not consent_given:
            raise ConsentNeeded
        # The consent first: it is the cause of the code.
        changes: list[Change[Any]] = [
            *([consent.then(given)] if given else []),
            issued.then([self._issued(request, session, now)]),
        ]
        by = by_user(user.user_id, caller, client_id=request.client_id)
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
