"""Consents of the use cases and of the running server, for the machine of consents."""

import asyncio
import html
from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec

from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import AskForConsent, AskToSignIn
from grantledger.domain.authorization_request import (
    AuthorizationParameters,
    AuthorizationRequest,
    SentBack,
)
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.refusal import Refusal
from properties.consent_memory import CLIENTS, REDIRECTS, USERS, Granted, Outcome, Page, Wish
from properties.over_http import OverHttp
from properties.over_use_cases import FOREVER, OverUseCases, error_code
from support.many_ledgers import Storages
from support.oauth import Person, csrf_token, redemption, returned, transaction_url
from support.pages import leave_link
from support.policies import POLICY, a_policy
from support.requests import asking
from support.story import CALLER, PASSWORD
from support.timed_server import TimedServers

BOB = "bob@example.com"
MONTH = 30 * 86_400


class ConsentsOfTheUseCases(OverUseCases):
    """With browsers that hold pending requests, but no HTTP."""

    def __init__(self, storages: Storages) -> None:
        members = {"redirect_uris": (*REDIRECTS,)}
        policy = a_policy(browser_session_lifetime=FOREVER, access_token_lifetime=FOREVER)
        super().__init__(storages, policy, client_name=CLIENTS[0], **members)
        self._other = self.run(self.story.registers(client_name=CLIENTS[1], **members)).client
        self.run(self.story.open_account(BOB, PASSWORD, CALLER))
        sessions = [self.run(self.story.sign_in(email, PASSWORD, CALLER)) for email in (self.email, BOB)]
        self._cookies = {user: new.cookie for user, new in zip(USERS, sessions, strict=True)}
        self._users = {new.session.user_id: user for user, new in zip(USERS, sessions, strict=True)}
        self._pending: dict[str, tuple[str, AuthorizationRequest]] = {}
        self._redeemed: dict[str, Granted] = {}
        self._tokens: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def ask(self, wish: Wish) -> Outcome:
        return self.run(self._ask(wish))

    def answer(self, transactions: Sequence[str], *, allowed: bool) -> list[Outcome]:
        return self.run(self._answer_at_once(transactions, allowed=allowed))

    def disconnect(self, user: str, client: str) -> None:
        (user_id,) = (user_id for user_id, name in self._users.items() if name == user)
        self.run(self.story.disconnect_app(user_id, self._client(client).client_id, CALLER))

    def alive(self, user: str, client: str) -> int:
        return sum(self.run(self._is_alive(token)) for token in self._tokens[user, client])

    def approve_client(self) -> None:
        self.run(self.story.approve_client(self.client.client_id, CALLER))

    async def _is_alive(self, token: str) -> bool:
        try:
            await self.story.look_up_session(token)
        except Refusal:
            return False
        return True

    async def _ask(self, wish: Wish) -> Outcome:
        client = self._client(wish.client)
        found = await self.story.find_browser_session(self._cookies[wish.user])
        session = found.session if found else None
        try:
            asked = _parameters(wish, client.client_id)
            request = (await self.story.start_authorization(asked, session)).request
            outcome = await self.story.resume_authorization(request, session, CALLER)
        except SentBack as sent:
            return error_code(sent.cause)
        except Refusal:
            return "refused"
        match outcome:
            case IssuedCode():
                return await self._granted(wish.client, outcome)
            case AskToSignIn():
                return "sign in"
            case AskForConsent():
                self._pending[request.transaction_id] = (wish.user, request)
                return Page(request.transaction_id, _text(outcome.client.metadata.client_name, request))

    async def _answer_at_once(self, transactions: Sequence[str], *, allowed: bool) -> list[Outcome]:
        pending = [self._pending.get(transaction) for transaction in transactions]
        for transaction in transactions:
            self._pending.pop(transaction, None)
        answers = await asyncio.gather(*(self._answer(found, allowed=allowed) for found in pending))
        return [found if isinstance(found, str) else await self._granted(*found) for found in answers]

    async def _answer(
        self, pending: tuple[str, AuthorizationRequest] | None, *, allowed: bool
    ) -> tuple[str, IssuedCode] | str:
        """Return the code with the name of its client, or the error code."""
        if pending is None:
            return "refused"
        user, request = pending
        if not allowed and self.story.clock.now() >= request.expires_at:
            return "refused"  # the browser has forgotten it, so the client gets no denial
        found = await self.story.find_browser_session(self._cookies[user])
        session = found.session if found else None
        try:
            issued = await self.story.give_consent(request, session, allowed=allowed, caller=CALLER)
        except SentBack as sent:
            return error_code(sent.cause)
        except Refusal:
            return "refused"
        return CLIENTS[0] if request.client_id == self.client.client_id else CLIENTS[1], issued

    async def _granted(self, name: str, issued: IssuedCode) -> Granted:
        if issued.code not in self._redeemed:
            client = self._client(name)
            tokens = await self.story.redeems(client, issued.code, redirect_uri=issued.redirect_uri)
            session = await self.story.look_up_session(tokens.access_token)
            assert session.client_id == client.client_id
            assert session.user_id is not None
            user = self._users[session.user_id]
            self._tokens[user, name].append(tokens.access_token)
            self._redeemed[issued.code] = Granted(user, name, session.resource, session.scopes)
        return self._redeemed[issued.code]

    def _client(self, name: str) -> ClientRegistration:
        return self.client if name == CLIENTS[0] else self._other


class ConsentsOverHttp(OverHttp):
    """Pages are distinguished by their forms."""

    def __init__(self, servers: TimedServers) -> None:
        resources = msgspec.json.encode(POLICY.resources).decode()
        month = str(MONTH)
        server = servers(resources=resources, browser_session_expires_in=month, access_token_expires_in=month)
        super().__init__(server, client_name=CLIENTS[0], redirect_uris=[*REDIRECTS])
        self._redeemed: dict[str, Granted] = {}
        self._tokens: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._pages: dict[str, tuple[Wish, httpx2.Response]] = {}
        self._bob = server.visitor()
        server.run(self._begin_with_bob())

    def ask(self, wish: Wish) -> Outcome:
        return self._outcome(wish, self.server.run(self._ask(wish)))

    def answer(self, transactions: Sequence[str], *, allowed: bool) -> list[Outcome]:
        decision = "allow" if allowed else "deny"
        answers = self.server.run(self._answer_at_once(transactions, decision))
        wishes = [self._pages[transaction][0] for transaction in transactions]
        return [self._outcome(wish, answer) for wish, answer in zip(wishes, answers, strict=True)]

    def disconnect(self, user: str, client: str) -> None:
        self.server.run(self._disconnect(self._people[user], self._ids[client]))

    def alive(self, user: str, client: str) -> int:
        return [answer.status for answer in self.sessions(self._tokens[user, client])].count(200)

    def approve_client(self) -> None:
        self.server.run(self.server.operator.use_cases().approve_client(self.client_id, CALLER))

    def close(self) -> None:
        super().close()
        self.server.run(self._bob.http.aclose())

    async def _begin_with_bob(self) -> None:
        bob = await self.server.open_account()
        other = await self.register(client_name=CLIENTS[1], redirect_uris=[*REDIRECTS])
        self._ids = dict(zip(CLIENTS, (self.client_id, other), strict=True))
        self._users = dict(zip((self.account.user_id, bob.user_id), USERS, strict=True))
        self._people = dict(zip(USERS, (self.person, self._bob), strict=True))
        for person, account in zip(self._people.values(), (self.account, bob), strict=True):
            page = await person.asked(other, redirect_uri=next(iter(REDIRECTS)))
            page = await person.sign_in(page, email=account.email)
            await person.post(page, "consent", decision="deny")

    async def _disconnect(self, person: Person, client_id: str) -> None:
        account = f"{person.base}/authorize/account"
        fields = {"csrf_token": csrf_token(await person.http.get(account)), "client_id": client_id}
        answer = await person.http.post(f"{account}/disconnect", data=fields)
        assert answer.status_code == 303, answer.text

    async def _ask(self, wish: Wish) -> httpx2.Response:
        return await self._people[wish.user].asked(
            self._ids[wish.client],
            redirect_uri=wish.redirect_uri,
            resource=wish.resource,
            scope=" ".join(wish.scopes),
            prompt=wish.prompt,
        )

    async def _answer_at_once(self, transactions: Sequence[str], decision: str) -> list[httpx2.Response]:
        pages = [self._pages[transaction] for transaction in transactions]
        return await asyncio.gather(
            *(self._people[wish.user].post(page, "consent", decision=decision) for wish, page in pages)
        )

    def _outcome(self, wish: Wish, answer: httpx2.Response) -> Outcome:
        if "location" in answer.headers:
            assert answer.headers["location"].startswith(f"{wish.redirect_uri}?")
            sent = returned(answer)
            return self._granted(wish, sent["code"]) if "code" in sent else sent["error"]
        if (link := leave_link(answer)) is not None:
            assert link.startswith(f"{wish.redirect_uri}?")
            return parse_qs(urlsplit(link).query)["error"][0]
        if answer.status_code != 200:
            assert answer.status_code in (400, 403), answer.text
            return "refused"
        if "<h1>Already connected</h1>" in answer.text:
            return "refused"
        if "/sign-in" in answer.text:
            return "sign in"
        transaction = transaction_url(answer)
        self._pages[transaction] = (wish, answer)
        return Page(transaction, html.unescape(answer.text))

    def _granted(self, wish: Wish, code: str) -> Granted:
        if code not in self._redeemed:
            client_id = self._ids[wish.client]
            (answer,) = self.token(redemption(client_id, code) | {"redirect_uri": wish.redirect_uri})
            access_token = answer.json()["access_token"]
            (session,) = (answer.json() for answer in self.sessions([access_token]))
            assert session["client_id"] == client_id
            user, scopes = self._users[session["user_id"]], tuple(session["scope"].split())
            self._tokens[user, wish.client].append(access_token)
            self._redeemed[code] = Granted(user, wish.client, session["resource"], scopes)
        return self._redeemed[code]


def _parameters(wish: Wish, client_id: str) -> AuthorizationParameters:
    return asking(
        client_id=client_id,
        redirect_uri=wish.redirect_uri,
        resources=(wish.resource,),
        scope=" ".join(wish.scopes),
        prompt=wish.prompt,
    )


def _text(name: str | None, request: AuthorizationRequest) -> str:
    """Return the facts that a page must show."""
    asked = request.asked
    return " ".join([name or "", asked.redirect_host, asked.resource, *asked.scopes])
