"""While the ledger cannot be read or written, the answer is 503, never 401 or 400. Then it recovers."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import anyio
import httpx2
import pytest

from grantledger.adapters.guards.session import session_of
from grantledger.application.ports import Unavailable
from grantledger.application.provenance import Caller
from support.oauth import SESSION_COOKIE, Person, basic, csrf_token, error_of, heading_of, returned
from support.outages import without_tables, writes_locked_out
from support.processes import is_alive, wait_until
from support.server import EMAIL, PASSWORD, PUBLIC, Server, serving

OUTAGE = (503, "temporarily_unavailable")
OUTAGE_PAGE = (503, "This server cannot answer now")

TABLES = (
    "client",
    "code",
    "token_grant",
    "consent",
    "user_account",
    "signin",
    "private_record",
    "signing_keys",
    "events",
)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("fragile"), **PUBLIC) as running:
        yield running


def unreadable(server: Server, *tables: str) -> AbstractContextManager[None]:
    """Take these tables away, or all that are read."""
    return without_tables(server.ledger, *(tables or TABLES))


class Before(Person):
    """A user with a client, a grant, a code and open pages, all from before the outage."""

    client: str
    tokens_before: dict[str, Any]
    code_before: str
    sign_in_page: httpx2.Response
    consent_page: httpx2.Response


@pytest.fixture
async def person(fragile: Server) -> AsyncIterator[Before]:
    someone = Before.at(fragile.origin)
    async with someone.http:
        someone.client = (await someone.register())["client_id"]
        someone.sign_in_page = await someone.asked(someone.client)
        await someone.sign_in(someone.sign_in_page)
        someone.tokens_before = await someone.tokens(someone.client)
        someone.code_before = await someone.code(someone.client)
        someone.consent_page = await someone.asked(someone.client, prompt="consent")
        yield someone


Request = Callable[[Before], Any]
PROGRAMS: dict[str, Request] = {
    "redeeming a code": lambda p: p.redeem(p.client, p.code_before),
    "refreshing": lambda p: p.refresh(p.client, p.tokens_before["refresh_token"]),
    "refreshing with a malformed token": lambda p: p.refresh(p.client, "glrt_unknown"),
    "revoking": lambda p: p.revoke(p.client, p.tokens_before["refresh_token"]),
    "introspecting": lambda p: p.http.post(
        "/introspect", data={"token": "glat_unknown"}, headers=basic("glr_unknown", "glrs_unknown")
    ),
    "looking up a session": lambda p: p.session(p.tokens_before["access_token"]),
    "reading the userinfo": lambda p: p.http.get(
        "/userinfo", headers={"authorization": f"Bearer {p.tokens_before['access_token']}"}
    ),
    "reading the keys": lambda p: p.http.get("/jwks"),
    "registering": lambda p: p.http.post("/register", json={"redirect_uris": ["https://client.example/"]}),
    "registering again": lambda p: p.http.post(
        "/register", json={"redirect_uris": ["https://client.example/"], "token_endpoint_auth_method": "none"}
    ),
}
PAGES: dict[str, Request] = {
    "authorizing": lambda p: p.authorize(p.client),
    "authorizing with prompt=none": lambda p: p.authorize(p.client, prompt="none"),
    "authorizing an unknown client": lambda p: p.authorize("glc_unknown"),
    "loading the consent page": lambda p: p.http.get(p.consent_page.url.path),
    "signing in": lambda p: p.sign_in(p.sign_in_page),
    "giving consent": lambda p: p.post(p.consent_page, "consent", decision="allow"),
    "signing out": lambda p: p.post(p.consent_page, "sign-out"),
}


@pytest.mark.parametrize("request_of", PROGRAMS.values(), ids=PROGRAMS)
async def test_programs_get_503_with_retry_after(fragile: Server, person: Before, request_of: Request):
    with unreadable(fragile):
        answer = await request_of(person)
    assert error_of(answer) == OUTAGE
    assert int(answer.headers["retry-after"]) > 0
    assert "www-authenticate" not in answer.headers
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("request_of", PAGES.values(), ids=PAGES)
async def test_people_get_an_error_page_with_retry_after(
    fragile: Server, person: Before, request_of: Request
):
    with unreadable(fragile):
        answer = await request_of(person)
    assert heading_of(answer) == OUTAGE_PAGE
    assert int(answer.headers["retry-after"]) > 0
    assert "set-cookie" not in answer.headers


async def test_discovery_needs_no_ledger(fragile: Server, person: Before):
    with unreadable(fragile):
        answer = await person.http.get("/.well-known/oauth-authorization-server")
    assert answer.status_code == 200


async def test_an_outage_raises_in_process(fragile: Server, person: Before):
    headers = {"authorization": f"Bearer {person.tokens_before['access_token']}"}
    async with fragile.use_cases() as container:
        verify = container.use_cases().look_up_session
        with unreadable(fragile), pytest.raises(Unavailable):
            await session_of(headers, verify, resource=f"{fragile.origin}/mcp")


async def test_requests_succeed_when_the_outage_is_over(fragile: Server, person: Before):
    with unreadable(fragile):
        for request_of in (*PROGRAMS.values(), *PAGES.values()):
            await request_of(person)
    assert person.cookies()[SESSION_COOKIE]
    allowed = await person.post(person.consent_page, "consent", decision="allow")
    assert "code" in returned(allowed)
    assert (await person.redeem(person.client, person.code_before)).status_code == 200
    refreshed = await person.refresh(person.client, person.tokens_before["refresh_token"])
    assert (await person.session(refreshed.json()["access_token"])).status_code == 200


NEW = "another password of length"


async def test_a_changed_password_is_not_lost_if_the_apps_cannot_be_disconnected(
    fragile: Server, person: Before
):
    """The response sets the new session, and the page says what was done and what was not."""
    form = await person.http.get("/authorize/account/password")
    assert 'name="disconnect"' in form.text
    filled = {"old_password": PASSWORD, "new_password": NEW, "new_password_again": NEW}
    filled |= {"csrf_token": csrf_token(form), "disconnect": "every"}
    with unreadable(fragile, "consent"):
        answer = await person.http.post("/authorize/account/password", data=filled)
    assert answer.status_code == 303
    page = await person.followed(answer)
    await set_back(fragile)
    assert heading_of(page) == (200, "Connected apps")
    assert "Your password is changed" in page.text
    assert "could not disconnect" in page.text
    assert person.client in page.text
    assert (await person.session(person.tokens_before["access_token"])).status_code == 200


async def set_back(server: Server) -> None:
    """Restore the password of the user that these tests share. This ends the user's sessions."""
    async with server.use_cases() as container:
        user_id = (
            await container.use_cases().sign_in(EMAIL, NEW, Caller(correlation_id="test"))
        ).session.user_id
        set_password = container.use_cases().set_password
        await set_password(user_id, PASSWORD, Caller(correlation_id="test"), keep_apps=True)


async def test_signing_out_everywhere_says_so_if_the_apps_cannot_be_disconnected(
    fragile: Server, person: Before
):
    page = await person.http.get("/authorize/account")
    form = {"csrf_token": csrf_token(page), "disconnect": "every"}
    with unreadable(fragile, "consent"):
        answer = await person.http.post("/authorize/account/sign-out-everywhere", data=form)
    assert heading_of(answer) == (503, "Your apps are still connected")
    assert "signed out everywhere" in answer.text
    wait_until(lambda: "AppsStillConnected" in fragile.log)  # it is written after the answer
    assert heading_of(await person.http.get("/authorize/account")) == (200, "Sign in")
    assert (await person.session(person.tokens_before["access_token"])).status_code == 200


@pytest.fixture(scope="module")
async def while_locked(fragile: Server) -> dict[str, httpx2.Response]:
    person = Person.at(fragile.origin)
    async with person.http:
        client = (await person.register())["client_id"]
        tokens = await person.tokens(client)
        answers: dict[str, httpx2.Response] = {}

        async def ask(name: str, request: Any) -> None:
            answers[name] = await request

        with writes_locked_out(fragile):
            async with anyio.create_task_group() as requests:
                requests.start_soon(ask, "write", person.refresh(client, tokens["refresh_token"]))
                requests.start_soon(ask, "read", person.session(tokens["access_token"]))
                requests.start_soon(ask, "check", person.refresh(client, "glrt_unknown"))
        await ask("after", person.refresh(client, tokens["refresh_token"]))
        return answers


@pytest.mark.full
async def test_a_write_waits_for_a_lock_and_is_then_503(
    while_locked: dict[str, httpx2.Response],
):
    assert error_of(while_locked["write"]) == OUTAGE
    assert int(while_locked["write"].headers["retry-after"]) > 0


@pytest.mark.full
async def test_reads_are_answered_while_the_ledger_is_locked(while_locked: dict[str, httpx2.Response]):
    assert while_locked["read"].status_code == 200


@pytest.mark.full
async def test_a_refusal_is_answered_while_the_ledger_is_locked(while_locked: dict[str, httpx2.Response]):
    assert error_of(while_locked["check"]) == (400, "invalid_grant")


@pytest.mark.full
async def test_a_refresh_token_that_met_a_lock_was_not_used(while_locked: dict[str, httpx2.Response]):
    assert while_locked["after"].status_code == 200


@pytest.mark.full
async def test_a_restarted_server_continues_after_a_kill(fragile: Server, person: Before):
    os.kill(fragile.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(fragile.pid))  # until then it has the port
    with serving(fragile.database.parent, port=int(fragile.settings["port"]), **PUBLIC):
        assert "code" in returned(await person.authorize(person.client, prompt="none"))
        assert (await person.redeem(person.client, person.code_before)).status_code == 200
        refreshed = await person.refresh(person.client, person.tokens_before["refresh_token"])
        assert (await person.session(refreshed.json()["access_token"])).status_code == 200
