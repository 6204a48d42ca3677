"""`POST /introspect` (RFC 7662), as a resource's server and a confidential client call it."""

from typing import Any

import httpx2
import pytest

from support.oauth import Person, basic, error_of
from support.server import Server

INACTIVE = {"active": False}


async def introspect(
    person: Person, credentials: tuple[str, str] | None, token: str | None, **form: str
) -> httpx2.Response:
    headers = basic(*credentials) if credentials else {}
    data = form if token is None else {"token": token, **form}
    return await person.http.post("/introspect", data=data, headers=headers)


async def test_an_active_token_is_described(
    server: Server, ada: Person, client: str, resource_server: tuple[str, str]
):
    tokens = await ada.tokens(client, scope="openid email")
    answer = await introspect(ada, resource_server, tokens["access_token"])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    described: dict[str, Any] = answer.json()
    assert described.pop("exp") - described.pop("iat") == 3_600
    assert described.pop("sub").startswith("glu_")
    assert described == {
        "active": True,
        "iss": server.issuer,
        "aud": f"{server.issuer}/mcp",
        "client_id": client,
        "scope": "openid email",
        "token_type": "Bearer",
        "username": "ada@example.com",
        "email": "ada@example.com",
        "email_verified": False,
    }


async def test_id_and_secret_may_be_in_the_body(ada: Person, client: str, resource_server: tuple[str, str]):
    tokens = await ada.tokens(client)
    sent = {"client_id": resource_server[0], "client_secret": resource_server[1]}
    assert (await introspect(ada, None, tokens["access_token"], **sent)).json()["active"]


@pytest.mark.parametrize("hint", ["access_token", "refresh_token"])
async def test_a_refresh_token_is_inactive_and_nothing_more_is_said(
    ada: Person, client: str, resource_server: tuple[str, str], hint: str
):
    tokens = await ada.tokens(client)
    answer = await introspect(ada, resource_server, tokens["refresh_token"], token_type_hint=hint)
    assert (answer.status_code, answer.json()) == (200, INACTIVE)


async def test_an_unknown_token_is_inactive_and_nothing_more_is_said(
    ada: Person, resource_server: tuple[str, str]
):
    answer = await introspect(ada, resource_server, "unknown")
    assert (answer.status_code, answer.json()) == (200, INACTIVE)


async def test_a_wrong_secret_is_401_with_a_basic_challenge(ada: Person, resource_server: tuple[str, str]):
    answer = await introspect(ada, (resource_server[0], "wrong"), "unknown")
    assert error_of(answer) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_a_caller_without_credentials_is_401(ada: Person):
    assert error_of(await introspect(ada, None, "unknown")) == (401, "invalid_client")


async def test_a_public_client_is_401(ada: Person, client: str):
    tokens = await ada.tokens(client)
    answer = await introspect(ada, None, tokens["access_token"], client_id=client)
    assert error_of(answer) == (401, "invalid_client")


async def test_a_request_without_token_is_invalid(ada: Person, resource_server: tuple[str, str]):
    assert error_of(await introspect(ada, resource_server, None)) == (400, "invalid_request")


async def test_discovery_names_the_endpoint_and_how_to_authenticate(server: Server, ada: Person):
    metadata = (await ada.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["introspection_endpoint"] == f"{server.issuer}/introspect"
    assert metadata["introspection_endpoint_auth_methods_supported"] == [
        "client_secret_post",
        "client_secret_basic",
    ]
