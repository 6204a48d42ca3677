"""The whole server as the domain decides it: aggregates in dicts, each decision folded where it was made."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import Struct

from grantledger.application.accounts.browser_sessions import NewBrowserSession
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import AskForConsent, AskToSignIn
from grantledger.application.clients.register_client import NewClient
from grantledger.domain import authorization_request, client_metadata, client_registration, consent
from grantledger.domain.aggregate import Kind
from grantledger.domain.authorization_code import CODE, AuthorizationCode, CodeIssued
from grantledger.domain.authorization_request import (
    AuthorizationParameters,
    AuthorizationRequest,
    ConsentDenied,
    ConsentNeeded,
    SentBack,
    SignInNeeded,
    TransactionSpent,
)
from grantledger.domain.browser_session import SIGNIN, BrowserSession, SignedIn
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.client_registration import (
    CLIENT,
    ClientRegistration,
)
from grantledger.domain.consent import CONSENT, Consent
from grantledger.domain.kinds import tag_of
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import TokenGrant
from grantledger.domain.user_account import USER, AccountOpened, UserAccount
from properties.whole_server import facts
from properties.whole_server.facts import EVIDENCE
from properties.whole_server.in_process import POLICY, InProcess, Page

S = TypeVar("S")


class Aggregates(InProcess):
    """What is remembered, and how. Secrets and their digests are one here, and everything has a number."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = 0
        self._tags: Counter[str] = Counter()
        self.clients: dict[str, ClientRegistration] = {}
        self.users: dict[str, UserAccount] = {}
        self.signins: dict[str, BrowserSession] = {}
        self.consents: dict[tuple[str, str], Consent] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.grants: dict[str, TokenGrant] = {}

    def draw(self, prefix: str) -> str:
        self._drawn += 1
        return f"{prefix}{self._drawn}"

    def happen(self, states: dict[Any, S], kind: Kind[S], key: Any, events: Iterable[Struct]) -> None:
        for happened in events:
            states[key] = kind.evolve(states.get(key), happened)
            self._tags[tag_of(happened)] += 1

    def remembered(self) -> Counter[str]:
        return Counter({tag: self._tags[tag] for tag in EVIDENCE if self._tags[tag]})

    def close(self) -> None:
        pass

    def open_account(self) -> tuple[str, str]:
        user_id = self.draw("glu_")
        self.happen(self.users, USER, user_id, [AccountOpened(user_id=user_id, opened_at=self.now)])
        return user_id, f"{user_id}@example.com"

    def register_client(self, asked: RegistrationRequest) -> NewClient:
        metadata = client_metadata.effective_metadata(asked, POLICY.registration)
        is_public = metadata.token_endpoint_auth_method == "none"
        secret = None if is_public else self.draw("glcs_")
        client_id = client_metadata.digest(metadata) if is_public else self.draw("glc_")
        events = client_registration.register(
            self.clients.get(client_id),
            client_id=client_id,
            metadata=metadata,
            secret_digest=secret,
            now=self.now,
        )
        self.happen(self.clients, CLIENT, client_id, events)
        return NewClient(client=self.clients[client_id], secret=secret)

    def disable_client(self, client_id: str) -> None:
        self.happen(self.clients, CLIENT, client_id, self.clients[client_id].disable(now=self.now))

    def delete_client(self, client_id: str) -> None:
        self.happen(self.clients, CLIENT, client_id, self.clients[client_id].delete(now=self.now))

    def disable_user(self, user_id: str) -> None:
        self.happen(self.users, USER, user_id, self.users[user_id].disable(now=self.now))


class Pages(Aggregates):
    """What stands behind the pages."""

    def start(self, asked: AuthorizationParameters, session: BrowserSession | None) -> AuthorizationRequest:
        client = self.clients[asked.client_id or ""]
        target = authorization_request.redirect_target(client, asked)
        try:
            return authorization_request.checked(
                asked,
                client=client,
                target=target,
                askable=POLICY.askable,
                transaction_id=self.draw("transaction "),
                session_before=session.session_id if session else None,
                now=self.now,
                lifetime=facts.TRANSACTION_LIFETIME,
            )
        except Refusal as refusal:
            raise SentBack(refusal, redirect_uri=target, state=asked.state) from refusal

    def resume(self, request: AuthorizationRequest, session: BrowserSession | None) -> Page:
        client = self._asking(request)
        if session is None or request.needs_sign_in(session):
            if request.allows_no_page:
                raise _back(request, SignInNeeded())
            return AskToSignIn(client=client)
        if request.needs_asking(self.consents.get((session.user_id, request.client_id)), client):
            if request.allows_no_page:
                raise _back(request, ConsentNeeded())
            return AskForConsent(client=client, session=session)
        return self._issue(request, session)

    def consent(
        self, request: AuthorizationRequest, session: BrowserSession | None, *, allowed: bool
    ) -> IssuedCode:
        if session is None or request.needs_sign_in(session):
            raise SignInNeeded
        self._asking(request)
        if not allowed:
            raise _back(request, ConsentDenied())
        return self._issue(request, session)

    def find_session(self, cookie: str | None) -> BrowserSession | None:
        session = self.signins.get(cookie or "")
        if session is None or self.users[session.user_id].disabled:
            return None
        epoch = self.users[session.user_id].session_epoch
        live = session.is_live(presented_digest=cookie or "", session_epoch=epoch, now=self.now)
        return session if live else None

    def email_of(self, session: BrowserSession) -> str | None:
        return f"{session.user_id}@example.com"

    def begin_session(self, email: str, *, right: bool) -> NewBrowserSession:
        user_id, secret = email.partition("@")[0], self.draw("session ")
        if not right or self.users[user_id].disabled:
            raise SignInRefused
        signed_in = SignedIn(
            session_id=secret,
            user_id=user_id,
            secret_digest=secret,
            signed_in_at=self.now,
            expires_at=self.now + facts.SESSION_LIFETIME,
        )
        self.happen(self.signins, SIGNIN, secret, [signed_in])
        return NewBrowserSession(session=self.signins[secret], cookie=secret)

    def end_session(self, session: BrowserSession) -> None:
        self.happen(self.signins, SIGNIN, session.session_id, session.sign_out(now=self.now))

    def _asking(self, request: AuthorizationRequest) -> ClientRegistration:
        client = self.clients[request.client_id]
        client.check_usable(request.client_registration)
        return client

    def _issue(self, request: AuthorizationRequest, session: BrowserSession) -> IssuedCode:
        request.check_open(now=self.now)
        self._asking(request)
        self.users[session.user_id].check_usable()
        code = f"glac_{request.transaction_id}"
        answer = IssuedCode(redirect_uri=request.redirect_uri, code=code, state=request.state)
        if code in self.codes:
            if self.codes[code].is_waiting(user_id=session.user_id, now=self.now):
                return answer
            raise TransactionSpent
        who = {"user_id": session.user_id, "client_id": request.client_id}
        key = (session.user_id, request.client_id)
        given = consent.give(self.consents.get(key), request.asked, **who, now=self.now)
        self.happen(self.consents, CONSENT, key, given)
        issued = CodeIssued(
            transaction_id=request.transaction_id,
            client_id=request.client_id,
            client_registration=request.client_registration,
            user_id=session.user_id,
            session_id=session.session_id,
            redirect_uri=request.redirect_uri,
            scopes=request.scopes,
            resource=request.resource,
            code_challenge=request.code_challenge,
            issued_at=self.now,
            expires_at=self.now + facts.CODE_LIFETIME,
        )
        self.happen(self.codes, CODE, code, [issued])
        return answer


def _back(request: AuthorizationRequest, refusal: Refusal) -> SentBack:
    return SentBack(refusal, redirect_uri=request.redirect_uri, state=request.state)
