"""A refresh token that is used again within the reuse window must pass the same checks as before."""

from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_hex

import pytest
from msgspec import Struct

from grantledger.application.provenance import Caller
from grantledger.application.use_cases import UseCases
from grantledger.entrypoints.composition import Container
from support.oauth import Person, error_of
from support.server import PASSWORD, Server


@pytest.fixture(scope="session")
def server(public: Server) -> Server:
    """A server whose issuer is not on loopback: browsers stay signed in between requests."""
    return public


CALLER = Caller(correlation_id="operator")
DEAD = (400, "invalid_grant")
UNPROVEN = (401, "invalid_client")


class Used(Struct, frozen=True):
    """A refresh token that was used once: the correct form to retry it, its user and its client."""

    form: dict[str, str]
    client_id: str
    user_id: str


@pytest.fixture
async def operator(server: Server) -> AsyncIterator[Container]:
    async with server.use_cases() as container:
        yield container


@pytest.fixture
async def used(person: Person, operator: Container) -> Used:
    """A used refresh token of a confidential client, with a user of its own for each test."""
    email = f"carol-{token_hex(4)}@example.com"
    user_id = await operator.use_cases().open_account(email, PASSWORD, CALLER)
    client = await person.register(token_endpoint_auth_method="client_secret_post")
    proof = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    await person.sign_in(await person.asked(client["client_id"]), email=email)
    first = await person.redeem(code=await person.code(client["client_id"]), **proof)
    form = {"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"], **proof}
    assert (await person.token(**form)).status_code == 200
    return Used(form, client["client_id"], user_id)


async def test_a_correct_retry_gets_tokens(person: Person, used: Used):
    assert (await person.token(**used.form)).status_code == 200


Meanwhile = Callable[[UseCases, Person, Used], Awaitable[object]]

MEANWHILE: dict[str, tuple[Meanwhile, tuple[int, str]]] = {
    "its client was disabled": (
        lambda by, _, used: by.disable_client(used.client_id, CALLER),
        DEAD,
    ),
    "its client was deleted": (
        lambda by, _, used: by.delete_client(used.client_id, CALLER),
        UNPROVEN,
    ),
    "its user was disabled": (lambda by, _, used: by.disable_user(used.user_id, CALLER), DEAD),
    "its grant was revoked": (
        lambda _, person, used: person.http.post(
            "/revoke", data={**used.form, "token": used.form["refresh_token"]}
        ),
        DEAD,
    ),
}


@pytest.mark.parametrize(("meanwhile", "refusal"), MEANWHILE.values(), ids=MEANWHILE)
async def test_a_retry_must_pass_every_check_of_a_refresh(
    person: Person, operator: Container, used: Used, meanwhile: Meanwhile, refusal: tuple[int, str]
):
    await meanwhile(operator.use_cases(), person, used)
    assert error_of(await person.token(**used.form)) == refusal


@pytest.mark.parametrize("secret", ["", "wrong"])
async def test_a_retry_needs_the_clients_secret(person: Person, used: Used, secret: str):
    assert error_of(await person.token(**{**used.form, "client_secret": secret})) == UNPROVEN


async def test_a_retry_by_another_client_is_refused_and_revokes_nothing(person: Person, used: Used):
    other = await person.register(token_endpoint_auth_method="client_secret_post")
    proof = {"client_id": other["client_id"], "client_secret": other["client_secret"]}
    assert error_of(await person.token(**{**used.form, **proof})) == DEAD
    assert (await person.token(**used.form)).status_code == 200
