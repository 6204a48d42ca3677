"""Users of a host on a loopback issuer: the host vouches for them, because its cookie proves nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from grantledger import AuthorizationServer, HostUser
from grantledger.adapters.http.pages.vouching import LIFETIME
from grantledger.application.provenance import Caller
from grantledger.entrypoints.embedded import VouchNeeded
from support.oauth import Person, heading_of, returned
from support.server import PUBLIC

ORIGIN = "http://127.0.0.1:8000"
ACCOUNT = "/authorize/account"
CONSENT = (200, "Allow access?")
HOME = (200, "Connected apps")
ADA = HostUser(user_id="ada-at-host.example", signed_in_at=1_000, name="Ada Lovelace")


class Host:
    """A host whose cookie identifies a user to any program that has it."""

    def __init__(self) -> None:
        self.lets = True
        self.asked_for: list[str] = []

    async def __call__(self, scope: Any) -> HostUser | None:
        raise AssertionError(f"the cookie of the host was believed at {scope['path']}")

    async def confirm(self, scope: Any, user_id: str) -> bool:
        self.asked_for.append(f"{user_id} at {scope['path'].rpartition('/')[2]}")
        return self.lets


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def embedded(tmp_path: Path, host: Host) -> AsyncIterator[AuthorizationServer]:
    server = AuthorizationServer.from_environment(
        None, {}, host_identity=host, database=str(tmp_path / "ledger.sqlite3"), login_page="/login"
    )
    async with server:
        yield server


@pytest.fixture
async def person(embedded: AuthorizationServer) -> AsyncIterator[Person]:
    async with client_of(embedded) as http:
        yield Person(ORIGIN, http)


def client_of(server: AuthorizationServer) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=server.app())
    return httpx2.AsyncClient(transport=transport, base_url=ORIGIN, cookies={"host_session": "ada"})


async def waits_at(person: Person) -> str:
    """Return the path of a pending request of a new client."""
    return str((await person.authorize((await person.register())["client_id"])).headers["location"])


async def vouched(server: AuthorizationServer, path: str, user: HostUser = ADA) -> str:
    return await server.vouch(path.rpartition("/")[2], user)


async def test_a_user_for_whom_the_host_vouches_allows_a_client(
    embedded: AuthorizationServer, person: Person
):
    path = await waits_at(person)
    assert (await person.http.get(path)).headers["location"] == f"/login?transaction={path[11:]}"
    page = await person.followed(await person.http.get(await vouched(embedded, path)))
    assert heading_of(page) == CONSENT
    assert "Ada Lovelace" in page.text
    assert returned(await person.submit(page, "consent", decision="allow"))["code"]


async def test_a_user_for_whom_the_host_vouches_sees_their_account(
    embedded: AuthorizationServer, person: Person
):
    page = await person.followed(await person.http.get(await embedded.vouch("account", ADA)))
    assert heading_of(page) == HOME
    assert "Ada Lovelace" in page.text


async def test_the_hosts_cookie_alone_leads_to_its_sign_in_page(
    embedded: AuthorizationServer, person: Person
):
    """Another program can have the cookie, a request of its own, and any header."""
    await person.http.get(await embedded.vouch("account", ADA))
    path = await waits_at(person)
    async with client_of(embedded) as http:
        thief = Person(ORIGIN, http)
        own = await waits_at(thief)
        for url in (own, ACCOUNT, f"{own}/consent"):
            answer = await thief.followed(await thief.http.get(url))
            assert answer.status_code == 404  # the sign-in page, which the host serves
            assert answer.url.path == "/login"
        assert (await thief.http.get(path)).status_code == 400  # a request of another browser


async def test_a_program_gets_no_session_when_a_user_signs_in_for_its_request(
    embedded: AuthorizationServer, person: Person
):
    async with client_of(embedded) as http:
        thief = Person(ORIGIN, http)
        planted = await waits_at(thief)
        for cookie in thief.http.cookies.jar:
            person.http.cookies.jar.set_cookie(cookie)
        page = await person.followed(await person.http.get(await vouched(embedded, planted)))
        assert heading_of(page) == CONSENT
        assert (await thief.http.get(planted)).headers["location"].startswith("/login")
        guessed = page.url.path.replace(page.url.path.split("/")[3], "S" * 22)
        assert (await thief.http.get(guessed)).status_code == 400  # without the cookie of that path


async def test_a_voucher_signs_in_once(embedded: AuthorizationServer, person: Person):
    path = await waits_at(person)
    voucher = await vouched(embedded, path)
    assert "/authorize/s/" in (await person.http.get(voucher)).headers["location"]
    assert (await person.http.get(voucher)).headers["location"] == path


async def test_a_voucher_is_for_one_request(embedded: AuthorizationServer, person: Person):
    one, other = await waits_at(person), await waits_at(person)
    voucher = (await vouched(embedded, one)).replace(one, other)
    assert (await person.http.get(voucher)).headers["location"] == other


async def test_a_voucher_is_valid_for_a_minute(
    embedded: AuthorizationServer, person: Person, monkeypatch: pytest.MonkeyPatch
):
    path = await waits_at(person)
    voucher = await vouched(embedded, path)
    clock = embedded._container.clock()  # noqa: SLF001 - the one that the server reads
    later = clock.now() + LIFETIME
    monkeypatch.setattr(type(clock), "now", lambda _: later)
    assert (await person.http.get(voucher)).headers["location"] == path


@pytest.mark.parametrize("site", ["none", "same-site", "cross-site"])
async def test_following_a_voucher_from_another_origin_first_shows_the_user(
    embedded: AuthorizationServer, person: Person, site: str
):
    path = await waits_at(person)
    page = await person.http.get(await vouched(embedded, path), headers={"sec-fetch-site": site})
    assert heading_of(page) == (200, "You are signed in")
    assert "Ada Lovelace" in page.text


async def test_signing_out_here_leads_back_to_the_hosts_page(embedded: AuthorizationServer, person: Person):
    path = await waits_at(person)
    page = await person.followed(await person.http.get(await vouched(embedded, path)))
    assert (await person.submit(page, "sign-out")).url.path == "/login"
    assert (await person.http.get(page.url.path)).headers["location"] == path


async def test_a_disabled_user_is_not_signed_in_by_a_voucher(embedded: AuthorizationServer, person: Person):
    account = await embedded.use_cases.admit_host_user(ADA.user_id, Caller(correlation_id="test"))
    await embedded.use_cases.disable_user(account.user_id, Caller(correlation_id="test"))
    page = await person.http.get(await embedded.vouch("account", ADA))
    assert heading_of(page) == (403, "This account is disabled")


async def test_the_ledger_file_hides_the_hosts_id_and_the_name_of_a_user(
    embedded: AuthorizationServer, person: Person, tmp_path: Path
):
    await person.followed(await person.http.get(await embedded.vouch("account", ADA)))
    written = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.sqlite3*"))
    assert ADA.user_id.encode() not in written
    assert b"Lovelace" not in written


async def test_allow_needs_the_confirmation_of_the_host(
    embedded: AuthorizationServer, person: Person, host: Host
):
    path = await waits_at(person)
    page = await person.followed(await person.http.get(await vouched(embedded, path)))
    host.lets = False
    refused = await person.post(page, "consent", decision="allow")
    assert heading_of(refused) == (200, "Sign in again")
    assert f'href="/login?transaction={path[11:]}"' in refused.text
    assert host.asked_for == [f"{ADA.user_id} at consent"]
    host.lets = True
    assert returned(await person.post(page, "consent", decision="allow"))["code"]


async def test_deny_needs_no_confirmation_of_the_host(
    embedded: AuthorizationServer, person: Person, host: Host
):
    path = await waits_at(person)
    page = await person.followed(await person.http.get(await vouched(embedded, path)))
    host.lets = False
    assert returned(await person.post(page, "consent", decision="deny"))["error"] == "access_denied"
    assert host.asked_for == []


@pytest.mark.parametrize("transaction", ["", "//evil.example", "../x", "a b", "x" * 65])
async def test_vouch_refuses_a_value_that_is_no_transaction_id(
    embedded: AuthorizationServer, transaction: str
):
    with pytest.raises(ValueError, match="not a transaction id"):
        await embedded.vouch(transaction, ADA)


async def test_on_loopback_a_host_that_resumes_without_vouching_gets_an_error(embedded: AuthorizationServer):
    with pytest.raises(VouchNeeded, match=r"await server\.vouch"):
        embedded.resume_path("x" * 22)


async def test_on_an_issuer_that_is_not_loopback_vouching_equals_resuming(tmp_path: Path, host: Host):
    server = AuthorizationServer.from_environment(
        None,
        {},
        host_identity=host,
        database=str(tmp_path / "ledger.sqlite3"),
        login_page="/login",
        issuer=PUBLIC["issuer"],
        master_secret=(PUBLIC["master_secret"],),
    )
    assert await server.vouch("x" * 22, ADA) == server.resume_path("x" * 22)
