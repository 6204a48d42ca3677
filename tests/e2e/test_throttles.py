"""429 over HTTP: what is throttled, what the response says, and who is not locked out."""

import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex

import httpx2
import pytest

from support.oauth import REDIRECT_URI, Person, basic, error_of, heading_of
from support.server import EMAIL, PASSWORD, Server, serving

PROXIED = "127.0.0.0/8"
TOO_MANY = (429, "Too many attempts")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with low limits that trusts the addresses which a proxy forwards."""
    with serving(
        tmp_path_factory.mktemp("strict"),
        trusted_proxies=PROXIED,
        sign_in_attempts="3/hour",
        sign_up="true",
        client_secret_attempts="3/hour",
        registrations="20/hour",
        registrations_per_address="5/hour",
        resources='[{"identifier": "https://mcp.example", "better_auth_path": "/api/auth"}]',
    ) as running:
        yield running


@pytest.fixture
async def at(strict: Server) -> AsyncIterator["Addresses"]:
    addresses = Addresses(strict.origin)
    yield addresses
    for person in addresses.people:
        await person.http.aclose()


class Addresses:
    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.people: list[Person] = []

    def __call__(self, address: str) -> Person:
        """Return a browser at that address."""
        person = Person.at(self._origin)
        person.http.headers["x-forwarded-for"] = address
        self.people.append(person)
        return person


@pytest.fixture(scope="module")
async def client(strict: Server) -> str:
    async with strict.use_cases() as container:
        registered = await register(container)
    return str(registered.client.client_id)


async def register(container, **members):
    from grantledger.application.provenance import Caller  # noqa: PLC0415
    from grantledger.domain.client_metadata import RegistrationRequest  # noqa: PLC0415

    asked = RegistrationRequest(
        redirect_uris=(REDIRECT_URI,),
        **{"token_endpoint_auth_method": "none", **members},
    )
    return await container.use_cases().register_client(asked, Caller(correlation_id="test"))


async def signs_in(person: Person, client: str, password: str, email: str = EMAIL) -> httpx2.Response:
    return await person.post(await person.asked(client), "sign-in", email=email, password=password)


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com", "no address"])
async def test_too_many_wrong_passwords_are_429_for_every_user(at, client: str, email: str):
    person = at(f"192.0.2.{len(email)}")
    for _ in range(3):
        assert (await signs_in(person, client, "wrong password", email)).status_code == 400
    answer = await signs_in(person, client, PASSWORD, email)
    assert heading_of(answer) == TOO_MANY
    assert 0 < int(answer.headers["retry-after"]) <= 1_200


async def test_another_address_is_not_locked_out(at, client: str):
    attacker, owner = at("198.51.100.1"), at("198.51.100.2")
    for _ in range(4):
        await signs_in(attacker, client, "wrong password")
    assert heading_of(await signs_in(attacker, client, PASSWORD)) == TOO_MANY
    assert (await signs_in(owner, client, PASSWORD)).status_code == 303


async def test_repeated_sign_ins_do_not_count_as_guesses(at, client: str):
    for _ in range(8):
        assert (await signs_in(at("198.51.100.3"), client, PASSWORD)).status_code == 303


@pytest.fixture(scope="module")
async def confidential(strict: Server) -> tuple[str, str]:
    async with strict.use_cases() as container:
        registered = await register(container, token_endpoint_auth_method="client_secret_basic")
    assert registered.secret
    return registered.client.client_id, registered.secret


async def asks(person: Person, client_id: str, secret: str, path: str = "/token") -> httpx2.Response:
    form = {"grant_type": "refresh_token", "refresh_token": "glrt_x", "token": "glrt_x"}
    return await person.http.post(path, data=form, headers=basic(client_id, secret))


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect", "/api/auth/mcp/token"])
async def test_too_many_wrong_client_secrets_are_429(at, confidential: tuple[str, str], path: str):
    person = at(f"203.0.113.{len(path)}")
    for _ in range(3):
        assert error_of(await asks(person, confidential[0], "glcs_wrong", path)) == (401, "invalid_client")
    answer = await asks(person, *confidential, path)
    assert error_of(answer) == (429, "too_many_requests")
    assert 0 < int(answer.headers["retry-after"]) <= 1_200


async def test_an_unknown_client_is_throttled_like_a_known_one(at):
    person = at("203.0.113.20")
    for _ in range(3):
        assert (await asks(person, "glc_nobody", "glcs_wrong")).status_code == 401
    assert (await asks(person, "glc_nobody", "glcs_wrong")).status_code == 429


async def test_guesses_from_many_addresses_do_not_lock_the_client_out(at, confidential: tuple[str, str]):
    home = at("203.0.113.30")
    assert error_of(await asks(home, *confidential)) == (400, "invalid_grant")
    statuses = [(await asks(at(f"10.1.1.{n}"), confidential[0], "glcs_wrong")).status_code for n in range(31)]
    assert statuses[-1] == 429
    assert (await asks(at("10.1.1.99"), *confidential)).status_code == 429
    assert error_of(await asks(home, *confidential)) == (400, "invalid_grant")


async def test_registrations_are_429_from_one_address_and_then_in_total(at):
    crowd = at("10.2.2.2")
    known = await crowd.register(client_name="Known")
    for _ in range(4):
        await crowd.register()
    body = {"redirect_uris": ["https://client.example/cb"], "token_endpoint_auth_method": "none"}
    assert error_of(await crowd.http.post("/register", json=body)) == (429, "too_many_requests")
    others = [
        await at(f"10.3.3.{n}").http.post("/register", json={**body, "client_name": f"{n}"})
        for n in range(20)
    ]
    assert [answer.status_code for answer in others] == [201] * 15 + [429] * 5
    assert int(others[-1].headers["retry-after"]) > 0
    again = await crowd.register(client_name="Known")
    assert again["client_id"] == known["client_id"]


async def signs_up(person: Person) -> httpx2.Response:
    page = await person.http.get("/authorize/account")
    page = await person.http.get(f"{page.url.path}/sign-up")
    fields = {"email": f"{token_hex(8)}@example.com", "password": PASSWORD, "password_again": PASSWORD}
    return await person.post(page, "sign-up", **fields)


async def test_too_many_sign_ups_from_one_address_are_429_and_the_page_says_to_wait(at, strict: Server):
    person = at("10.4.4.4")
    for _ in range(3):
        assert heading_of(await signs_up(person)) == (200, "Sign in")
    before = strict.events("user.opened.v1")
    answer = await signs_up(person)
    assert heading_of(answer) == (429, "Too many new accounts")
    assert 0 < int(answer.headers["retry-after"]) <= 1_200
    minutes = math.ceil(int(answer.headers["retry-after"]) / 60)
    assert f"Wait {minutes} minutes, then go back and try again." in answer.text
    assert strict.events("user.opened.v1") == before
    assert heading_of(await signs_up(at("10.4.4.5"))) == (200, "Sign in")


async def test_sign_ups_that_were_refused_for_their_form_do_not_count(at):
    person = at("10.5.5.5")
    await person.http.get("/authorize/account")
    page = await person.http.get("/authorize/account/sign-up")
    for _ in range(5):
        refused = await person.post(
            page, "sign-up", email="nobody", password=PASSWORD, password_again=PASSWORD
        )
        assert heading_of(refused) == (400, "Sign up")
    assert heading_of(await signs_up(person)) == (200, "Sign in")


async def test_too_many_refreshes_of_one_grant_and_sign_ins_of_one_user_are_429(tmp_path: Path):
    with serving(tmp_path, refreshes_per_grant="2/hour", sign_ins_per_user="1/hour") as server:
        person = Person.at(server.origin)
        async with person.http:
            client = (await person.register())["client_id"]
            tokens = await person.tokens(client)
            for _ in range(2):
                tokens = (await person.refresh(client, tokens["refresh_token"])).json()
            answer = await person.refresh(client, tokens["refresh_token"])
            assert error_of(answer) == (429, "too_many_requests")
            assert 1 <= int(answer.headers["retry-after"]) <= 1_800
            refused = await person.sign_in(await person.asked(client))
            assert heading_of(refused) == TOO_MANY
            assert int(refused.headers["retry-after"]) >= 1
