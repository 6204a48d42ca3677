"""The users of a host application: it signs them in on a page of its own, in the same process."""

import json
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx2
import pytest

from grantledger import AuthorizationServer, HostUser
from grantledger.adapters.asgi_types import Scope
from grantledger.adapters.embedding.host_identity import resume_path
from grantledger.application.provenance import Caller
from grantledger.entrypoints.settings import SettingsInvalid
from support.oauth import Person, csrf_token, heading_of, returned
from support.server import PUBLIC, cli

ORIGIN = PUBLIC["issuer"]
ACCOUNT = "/authorize/account"
HOME = (200, "Connected apps")
CONSENT = (200, "Allow access?")


async def identify(scope: Scope) -> HostUser | None:
    """The host's session in these tests: a cookie with the user's id, sign-in time and name."""
    cookies = SimpleCookie(dict(scope["headers"]).get(b"cookie", b"").decode())
    if "host_session" not in cookies:
        return None
    user_id, since, name = cookies["host_session"].value.split("~")
    return HostUser(user_id=user_id, signed_in_at=int(since), name=name or None)


class Member(Person):
    def signs_in_at_the_host(self, user_id: str = "ada", since: int = 1_000, name: str = "Ada") -> None:
        self.http.cookies.set("host_session", f"{user_id}~{since}~{name}", domain="auth.example", path="/")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[AuthorizationServer]:
    server = AuthorizationServer.from_environment(
        None,
        {},
        host_identity=identify,
        database=str(tmp_path / "ledger.sqlite3"),
        login_page="/login?theme=dark",
        logout_page="/logout",
        issuer=PUBLIC["issuer"],
        master_secret=(PUBLIC["master_secret"],),
    )
    async with server:
        yield server


@pytest.fixture
async def member(host: AuthorizationServer) -> AsyncIterator[Member]:
    transport = httpx2.ASGITransport(app=host.app())
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        yield Member(ORIGIN, http)


async def asked(member: Member, client: str, **parameters: str | None) -> httpx2.Response:
    """Start a request and return the response of its page, without following redirects from there."""
    return await member.http.get((await member.authorize(client, **parameters)).headers["location"])


async def test_a_user_without_a_session_at_the_host_is_sent_to_its_page(member: Member):
    client = (await member.register())["client_id"]
    waits_at = (await member.authorize(client)).headers["location"]
    transaction = waits_at.rpartition("/")[2]
    answer = await member.http.get(waits_at)
    assert answer.headers["location"] == f"/login?theme=dark&transaction={transaction}"
    assert resume_path("", transaction) == waits_at


async def test_after_signing_in_at_the_host_the_user_allows_the_client(
    member: Member, host: AuthorizationServer
):
    client = (await member.register())["client_id"]
    waits_at = (await member.authorize(client)).headers["location"]
    member.signs_in_at_the_host(name="Lovelace")
    page = await member.http.get(waits_at)
    assert heading_of(page) == CONSENT
    assert "Lovelace" in page.text
    code = returned(await member.submit(page, "consent", decision="allow"))["code"]
    token = (await member.redeem(client, code)).json()["access_token"]
    assert (await member.session(token)).json()["user_id"].startswith("glu_")


async def test_the_ledger_file_hides_the_hosts_id_and_the_name_of_a_user(
    member: Member, host: AuthorizationServer, tmp_path: Path
):
    member.signs_in_at_the_host(user_id="ada-at-host.example", name="Lovelace")
    client = (await member.register())["client_id"]
    page = await asked(member, client)
    await member.submit(page, "consent", decision="allow")
    written = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.sqlite3*"))
    assert b"ada-at-host.example" not in written
    assert b"Lovelace" not in written


async def test_connected_apps_are_seen_and_disconnected(member: Member):
    member.signs_in_at_the_host()
    client = (await member.register())["client_id"]
    code = returned(await member.submit(await asked(member, client), "consent", decision="allow"))["code"]
    token = (await member.redeem(client, code)).json()["access_token"]
    page = await member.http.get(ACCOUNT)
    assert heading_of(page) == HOME
    assert client in page.text
    fields = {"csrf_token": csrf_token(page), "client_id": client}
    answer = await member.followed(await member.http.post(f"{ACCOUNT}/disconnect", data=fields))
    assert client not in answer.text
    assert (await member.session(token)).status_code == 401


async def test_the_sign_out_link_leads_to_the_host(member: Member):
    member.signs_in_at_the_host()
    page = await member.http.get(ACCOUNT)
    assert 'href="/logout"' in page.text
    assert "password" not in page.text.lower()


@pytest.mark.parametrize("page", ["sign-in", "sign-up", "sign-out", "password", "sign-out-everywhere"])
async def test_the_pages_of_the_built_in_identity_are_not_served(member: Member, page: str):
    member.signs_in_at_the_host()
    answer = await member.http.post(f"{ACCOUNT}/{page}", data={"csrf_token": "x"})
    assert answer.status_code in (404, 405)


async def test_the_account_page_redirects_to_the_host_to_sign_in(member: Member):
    answer = await member.http.get(ACCOUNT)
    assert answer.headers["location"] == "/login?theme=dark&transaction=account"
    assert resume_path("", "account") == ACCOUNT


async def test_a_disabled_user_of_the_host_gets_an_error_page_and_no_loop(
    member: Member, host: AuthorizationServer
):
    member.signs_in_at_the_host()
    await member.http.get(ACCOUNT)
    account = await host.use_cases.admit_host_user("ada", Caller(correlation_id="test"))
    await host.use_cases.disable_user(account.user_id, Caller(correlation_id="test"))
    page = await member.http.get(ACCOUNT)
    assert heading_of(page) == (403, "This account is disabled")
    assert f'href="{ACCOUNT}"' not in page.text


async def test_an_open_page_cannot_be_used_after_another_sign_in(member: Member):
    member.signs_in_at_the_host()
    page = await asked(member, (await member.register())["client_id"])
    for user_id, since in (("eve", 1_000), ("ada", 2_000)):
        member.signs_in_at_the_host(user_id=user_id, since=since)
        answer = await member.post(page, "consent", decision="allow")
        assert heading_of(answer) == (403, "This form cannot be used")


async def test_a_requested_new_sign_in_causes_no_redirect_loop(member: Member):
    member.signs_in_at_the_host()
    client = (await member.register())["client_id"]
    waits_at = (await member.authorize(client, prompt="login")).headers["location"]
    page = await member.http.get(waits_at)
    assert heading_of(page) == (200, "Sign in again")
    assert f'href="/login?theme=dark&amp;transaction={waits_at.rpartition("/")[2]}"' in page.text
    member.signs_in_at_the_host(since=2_000)
    assert heading_of(await member.http.get(waits_at)) == CONSENT


@pytest.mark.parametrize("transaction", ["", "//evil.example", "../x", "a b", "x" * 65, "\u00e9", "a\n"])
def test_a_value_that_is_no_transaction_id_has_no_resume_path(transaction: str):
    with pytest.raises(ValueError, match="not a transaction id"):
        resume_path("", transaction)


def test_users_of_a_host_need_a_page_to_sign_in():
    with pytest.raises(SettingsInvalid, match="login_page is missing"):
        AuthorizationServer.from_environment(None, {}, host_identity=identify)


def test_a_login_page_needs_a_host_that_identifies_users():
    """Otherwise users would be redirected between consent page and sign-in page without end."""
    with pytest.raises(SettingsInvalid, match=r"embed the server with AuthorizationServer\(host_identity"):
        AuthorizationServer.from_environment(None, {}, login_page="/login")


async def test_a_command_works_on_the_ledger_of_an_embedded_server(
    member: Member, host: AuthorizationServer, tmp_path: Path
):
    member.signs_in_at_the_host()
    await member.http.get(ACCOUNT)
    listed = cli(
        *("user", "list", "--json"),
        cwd=tmp_path,
        database=host.settings.database,
        login_page="/login",
        **PUBLIC,
    )
    assert (listed.returncode, listed.stderr) == (0, "")
    assert json.loads(listed.stdout)["user_id"].startswith("glu_")
