"""The whole server as it runs: a process of its own, asked over HTTP; operators use its ledger."""

import html
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from msgspec import Struct, json

from properties.whole_server import facts
from properties.whole_server.facts import (
    EVIDENCE,
    Ask,
    Credentials,
    Pair,
    Redemption,
    RegistrationAnswer,
    Seen,
    Session,
)
from properties.whole_server.pages import name_of_page
from support.oauth import VERIFIER, Person, csrf_token, transaction_url
from support.pages import leave_link
from support.server import PASSWORD
from support.stores import asked
from support.timed_server import CALLER, TimedServer
from support.wire import Answer

SETTINGS = {
    "resources": json.encode(
        [{"identifier": each, "scopes": ["notes:read", "notes:write"]} for each in (facts.FILES, facts.NOTES)]
    ).decode(),
    "roles": json.encode({"editor": {"scopes": [facts.EDITORS_SCOPE]}}).decode(),
    "code_expires_in": str(facts.CODE_LIFETIME),
    "access_token_expires_in": str(facts.ACCESS_LIFETIME),
    "refresh_token_expires_in": str(facts.REFRESH_LIFETIME),
    "grant_expires_in": str(facts.GRANT_LIFETIME),
    "refresh_reuse_window": str(facts.WINDOW),
    "browser_session_expires_in": str(facts.SESSION_LIFETIME),
}


class OpenTab(Struct):
    person: Person
    form: httpx2.Response
    """The last page with a form."""
    cookie: dict[str, str]
    """The cookie that holds the pending request."""


class ServerOverHttp:
    def __init__(self, server: TimedServer) -> None:
        self.server = server
        self.salt = f" of {server.begin()}"
        self.own_page = f"{server.server.issuer}/authorize/x"
        self._somebody = server.visitor()
        self._people: dict[str, Person] = {}
        self._tabs: dict[str, OpenTab] = {}
        ((self._before,),) = asked(server.server.ledger, "SELECT max(position) FROM events")

    @property
    def now(self) -> int:
        return self.server.clock.now()

    def advance(self, seconds: int) -> None:
        self.server.advance(seconds)

    def close(self) -> None:
        for person in (self._somebody, *self._people.values()):
            self.server.run(person.http.aclose())

    def recorded(self) -> Counter[str]:
        marks = ", ".join("?" * len(EVIDENCE))
        found = asked(
            self.server.server.ledger,
            f"SELECT tag, count(*) FROM events WHERE position > ? AND tag IN ({marks}) GROUP BY tag",
            self._before,
            *EVIDENCE,
        )
        return Counter(dict(found))

    # operators

    def open_account(self) -> tuple[str, str]:
        account = self.server.run(self.server.open_account())
        return account.user_id, account.email

    def disable_client(self, client_id: str) -> None:
        self.server.run(self.server.operator.use_cases().disable_client(client_id, CALLER))

    def delete_client(self, client_id: str) -> None:
        self.server.run(self.server.operator.use_cases().delete_client(client_id, CALLER))

    def disable_user(self, user_id: str) -> None:
        self.server.run(self.server.operator.use_cases().disable_user(user_id, CALLER))

    def change_role(self, user_id: str, *, is_editor: bool) -> None:
        do = self.server.operator.use_cases()
        change = do.grant_role if is_editor else do.revoke_role
        self.server.run(change(user_id, "editor", CALLER))

    # people

    def authorize(self, browser: str, client_id: str, ask: Ask) -> tuple[str, Seen]:
        if browser not in self._people:
            self._people[browser] = self.server.visitor()
        person = self._people[browser]
        page = self.server.run(
            person.asked(
                client_id,
                redirect_uri=ask.redirect_uri,
                scope=ask.scope,
                resource=ask.resource,
                prompt=ask.prompt,
            )
        )
        seen = _seen(page)
        if seen.what not in ("sign in", "consent"):
            return "", seen
        name = transaction_url(page)
        transaction_id = name.rpartition("/")[2]
        cookie = {name: value for name, value in person.cookies().items() if name.endswith(transaction_id)}
        self._tabs[name] = OpenTab(person, page, cookie)
        return name, seen

    def look(self, tab: str) -> Seen:
        return self._seen(tab, self._tabs[tab].person.http.get(tab))

    def sign_in(self, tab: str, email: str, *, right: bool) -> Seen:
        opened, password = self._tabs[tab], PASSWORD if right else "wrong password"
        return self._seen(tab, opened.person.post(opened.form, "sign-in", email=email, password=password))

    def decide(self, tab: str, *, allowed: bool, kept: bool) -> Seen:
        opened = self._tabs[tab]
        jar = opened.person.cookies() | (opened.cookie if kept else {})
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
        shown = re.search(r'name="scope" value="([^"]+)"', opened.form.text)
        fields = {"csrf_token": csrf_token(opened.form), "decision": "allow" if allowed else "deny"}
        fields |= {"scope": shown[1]} if shown else {}
        return self._seen(tab, opened.person.http.post(f"{tab}/consent", data=fields, headers=headers))

    def sign_out(self, tab: str) -> Seen:
        opened = self._tabs[tab]
        return self._seen(tab, opened.person.post(opened.form, "sign-out"))

    def _seen(self, tab: str, request: Any) -> Seen:
        opened = self._tabs[tab]
        page = self.server.run(opened.person.followed(self.server.run(request)))
        seen = _seen(page)
        if seen.what in ("sign in", "consent"):
            opened.form = page
        return seen

    # clients

    def register(self, body: bytes) -> RegistrationAnswer:
        headers = {"content-type": "application/json"}
        answer = self.server.run(self._somebody.http.post("/register", content=body, headers=headers))
        assert answer.headers["cache-control"] == "no-store"
        return RegistrationAnswer(answer.status_code, answer.json())

    def prove(self, authorization: list[str], form: dict[str, str]) -> str:
        wire = self.server.wire
        headers = {"authorization": authorization[0]} if authorization else {}
        (answer,) = wire.in_turn([wire.post("/revoke", {"token": "unknown", **form}, **headers)])
        return "" if answer.status == 200 else _refusal(answer)

    def redeem(self, credentials: Credentials, redemption: Redemption) -> Pair | str:
        return self._tokens(
            credentials,
            grant_type="authorization_code",
            code=redemption.code,
            redirect_uri=redemption.redirect_uri,
            code_verifier=VERIFIER if redemption.verifier is None else redemption.verifier,
            resource=redemption.resource,
        )

    def refresh(
        self, credentials: Credentials, token: str, *, scope: str | None, resource: str | None
    ) -> Pair | str:
        return self._tokens(
            credentials, grant_type="refresh_token", refresh_token=token, scope=scope, resource=resource
        )

    def revoke(self, credentials: Credentials, token: str) -> str:
        answer = self._post("/revoke", credentials, token=token)
        return "" if answer.status == 200 else _refusal(answer)

    def sessions(self, asked: Sequence[tuple[str, str | None]]) -> list[Session | None]:
        wire = self.server.wire
        requests = [
            wire.get(_session_path(resource), authorization=f"Bearer {token}") for token, resource in asked
        ]
        return [_session(answer) for answer in wire.in_turn(requests)]

    def _tokens(self, credentials: Credentials, **form: str | None) -> Pair | str:
        answer = self._post("/token", credentials, **form)
        if answer.status != 200:
            return _refusal(answer)
        members = answer.json()
        scopes = tuple(members["scope"].split())
        return Pair(members["access_token"], members.get("refresh_token"), scopes, members["expires_in"])

    def _post(self, path: str, credentials: Credentials, **form: str | None) -> Answer:
        form = {"client_id": credentials.client_id, "client_secret": credentials.secret, **form}
        wire = self.server.wire
        fields = {name: value for name, value in form.items() if value is not None}
        (answer,) = wire.in_turn([wire.post(path, fields)])
        return answer


def _seen(page: httpx2.Response) -> Seen:
    if "location" in page.headers:
        members = parse_qs(urlsplit(page.headers["location"]).query, strict_parsing=True)
        what = "code" if "code" in members else "error"
        return Seen(what, *members[what])
    if '/consent"' in page.text:
        return Seen("consent", html.unescape(page.text))
    if '/sign-in"' in page.text:
        return Seen("sign in")
    if (link := leave_link(page)) is not None:
        return Seen("error", *parse_qs(urlsplit(link).query, strict_parsing=True)["error"])
    title = re.search("<h1>([^<]+)</h1>", page.text)
    assert title, page.text
    return Seen(name_of_page(html.unescape(title[1])))


def _session_path(resource: str | None) -> str:
    return "/session" if resource is None else f"/session?{urlencode({'resource': resource})}"


def _session(answer: Answer) -> Session | None:
    members = answer.json()
    if answer.status != 200:
        assert (answer.status, members["error"]) == (401, "invalid_token")
        return None
    scopes = tuple(members["scope"].split())
    return Session(
        members["user_id"], members["client_id"], scopes, members["resource"], members["expires_at"]
    )


def _refusal(answer: Answer) -> str:
    error = str(answer.json()["error"])
    # Promise 9: on 401 clients register again, so it is for that alone.
    assert answer.status == (401 if error == "invalid_client" else 400)
    return error
