"""A client or user that another process disables or deletes is refused on the next request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_hex
from typing import Any

import pytest

from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container
from support.oauth import Person, error_of, heading_of, returned
from support.server import PASSWORD, Server


@pytest.fixture(scope="session")
def server(public: Server) -> Server:
    """A server whose issuer is not on loopback: browsers stay signed in between requests."""
    return public


CALLER = Caller(correlation_id="operator")
DEAD = (400, "invalid_grant")
DISABLED = (403, "This application is disabled")
UNKNOWN = (400, "This application is not known here")


@pytest.fixture
async def operator(server: Server) -> AsyncIterator[Container]:
    async with server.use_cases() as container:
        yield container


# A client


async def test_a_disabled_clients_access_token_is_refused(ada: Person, client: str, operator: Container):
    tokens = await ada.tokens(client)
    await operator.use_cases().disable_client(client, CALLER)
    assert error_of(await ada.session(tokens["access_token"])) == (401, "invalid_token")


async def test_a_disabled_clients_refresh_token_is_invalid_grant(
    ada: Person, client: str, operator: Container
):
    tokens = await ada.tokens(client)
    await operator.use_cases().disable_client(client, CALLER)
    assert error_of(await ada.refresh(client, tokens["refresh_token"])) == DEAD


async def test_a_disabled_clients_retry_is_invalid_grant(ada: Person, client: str, operator: Container):
    tokens = await ada.tokens(client)
    await ada.refresh(client, tokens["refresh_token"])
    await operator.use_cases().disable_client(client, CALLER)
    assert error_of(await ada.refresh(client, tokens["refresh_token"])) == DEAD


async def test_a_disabled_client_gets_an_error_page_at_authorize(
    ada: Person, client: str, operator: Container
):
    await operator.use_cases().disable_client(client, CALLER)
    assert heading_of(await ada.authorize(client)) == DISABLED


async def test_a_disabled_client_is_refused_before_anything_else_is_checked(
    ada: Person, client: str, operator: Container
):
    await operator.use_cases().disable_client(client, CALLER)
    answer = await ada.authorize(client, response_type="token", redirect_uri="https://evil.example/")
    assert heading_of(answer) == DISABLED


@pytest.mark.parametrize("form", ["allow", "deny", "sign-out", "again"])
async def test_a_client_that_is_disabled_while_its_page_is_open_gets_nothing(
    person: Person, operator: Container, form: str
):
    client = (await person.register())["client_id"]
    page = await person.sign_in(await person.asked(client))
    await operator.use_cases().disable_client(client, CALLER)
    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "allow": lambda: person.submit(page, "consent", decision="allow"),
        "deny": lambda: person.submit(page, "consent", decision="deny"),
        "sign-out": lambda: person.submit(page, "sign-out"),
        "again": lambda: person.http.get(page.url.path),
    }
    assert heading_of(await steps[form]()) == DISABLED


async def test_a_remembered_consent_does_not_help_a_disabled_client(
    ada: Person, client: str, operator: Container
):
    await ada.code(client)
    await operator.use_cases().disable_client(client, CALLER)
    assert heading_of(await ada.authorize(client, prompt="none")) == DISABLED


async def test_registering_again_does_not_enable_a_disabled_client(person: Person, operator: Container):
    asked = {"redirect_uris": ["https://client.example/"], "token_endpoint_auth_method": "none"}
    asked["client_name"] = "Disabled for good"
    client = (await person.http.post("/register", json=asked)).json()
    await operator.use_cases().disable_client(client["client_id"], CALLER)
    assert error_of(await person.http.post("/register", json=asked)) == (403, "access_denied")


# A client that was deleted


async def test_a_deleted_clients_tokens_are_refused(ada: Person, client: str, operator: Container):
    tokens = await ada.tokens(client)
    await operator.use_cases().delete_client(client, CALLER)
    assert error_of(await ada.session(tokens["access_token"])) == (401, "invalid_token")


async def test_a_deleted_client_is_401_so_that_it_registers_again(
    ada: Person, client: str, operator: Container
):
    tokens, code = await ada.tokens(client), await ada.code(client)
    await operator.use_cases().delete_client(client, CALLER)
    for answer in (
        await ada.refresh(client, tokens["refresh_token"]),
        await ada.redeem(client, code),
        await ada.revoke(client, tokens["refresh_token"]),
    ):
        assert error_of(answer) == (401, "invalid_client")


async def test_a_deleted_client_gets_an_error_page_at_authorize(
    ada: Person, client: str, operator: Container
):
    await operator.use_cases().delete_client(client, CALLER)
    assert heading_of(await ada.authorize(client)) == UNKNOWN


@pytest.fixture
async def reborn(ada: Person, operator: Container) -> dict[str, Any]:
    """A client that was deleted and registered again, with what it had before."""
    client_id = (await ada.register(client_name="Reborn"))["client_id"]
    page = await ada.asked(client_id)
    had = {"tokens": await ada.tokens(client_id), "code": await ada.code(client_id), "page": page}
    await operator.use_cases().delete_client(client_id, CALLER)
    again = await ada.register(client_name="Reborn")
    return {"client_id": client_id, "registered": again["client_id"], **had}


async def test_a_deleted_client_registers_again_under_its_id(reborn: dict[str, Any]):
    assert reborn["registered"] == reborn["client_id"]


async def test_tokens_from_before_the_deletion_stay_refused(ada: Person, reborn: dict[str, Any]):
    client_id, tokens = reborn["client_id"], reborn["tokens"]
    assert error_of(await ada.session(tokens["access_token"])) == (401, "invalid_token")
    assert error_of(await ada.refresh(client_id, tokens["refresh_token"])) == DEAD


async def test_a_consent_from_before_the_deletion_does_not_count(ada: Person, reborn: dict[str, Any]):
    answer = await ada.authorize(reborn["client_id"], prompt="none")
    assert returned(answer)["error"] == "consent_required"


async def test_a_page_from_before_the_deletion_gives_no_code(ada: Person, reborn: dict[str, Any]):
    assert heading_of(await ada.submit(reborn["page"], "consent", decision="allow")) == UNKNOWN


# A user


@pytest.fixture
async def bob(person: Person, operator: Container) -> dict[str, Any]:
    """A user of this test alone, signed in, with a grant, a code and an open page."""
    email = f"bob-{token_hex(4)}@example.com"
    user_id = await operator.use_cases().open_account(email, PASSWORD, CALLER)
    client = (await person.register())["client_id"]
    await person.sign_in(await person.asked(client), email=email)
    tokens, code = await person.tokens(client), await person.code(client)
    page = await person.asked(client, prompt="consent")
    return {"email": email, "id": user_id, "client": client, "tokens": tokens, "code": code, "page": page}


async def test_a_disabled_users_tokens_are_refused(person: Person, operator: Container, bob: dict[str, Any]):
    await operator.use_cases().disable_user(bob["id"], CALLER)
    assert error_of(await person.session(bob["tokens"]["access_token"])) == (401, "invalid_token")
    assert error_of(await person.refresh(bob["client"], bob["tokens"]["refresh_token"])) == DEAD


async def test_a_disabled_users_browser_is_signed_out(
    person: Person, operator: Container, bob: dict[str, Any]
):
    await operator.use_cases().disable_user(bob["id"], CALLER)
    assert returned(await person.authorize(bob["client"], prompt="none"))["error"] == "login_required"


async def test_a_disabled_users_open_page_gives_no_code(
    person: Person, operator: Container, bob: dict[str, Any]
):
    await operator.use_cases().disable_user(bob["id"], CALLER)
    answer = await person.post(bob["page"], "consent", decision="allow")
    assert heading_of(answer) == (403, "This form cannot be used")


async def test_a_disabled_user_cannot_sign_in_and_learns_no_reason(
    person: Person, operator: Container, bob: dict[str, Any]
):
    await operator.use_cases().disable_user(bob["id"], CALLER)
    page = await person.asked(bob["client"])
    right = await person.sign_in(page, email=bob["email"])
    wrong = await person.sign_in(page, email=bob["email"], password="wrong")
    assert heading_of(right) == (400, "Sign in")
    assert right.text == wrong.text
