"""`POST /revoke` (RFC 7009): which tokens are refused from the next request on, and which are not."""

from typing import Any
from urllib.parse import urlencode

import pytest

from support.oauth import Person, basic, error_of
from support.server import Server

DEAD = (400, "invalid_grant")


async def alive(person: Person, tokens: dict[str, Any]) -> bool:
    answer = await person.session(tokens["access_token"])
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


async def test_revoking_a_refresh_token_ends_the_grant(ada: Person, client: str):
    tokens = await ada.tokens(client)
    await ada.revoke(client, tokens["refresh_token"])
    assert error_of(await ada.refresh(client, tokens["refresh_token"])) == DEAD
    assert not await alive(ada, tokens)


async def test_revoking_an_access_token_refuses_it_and_every_older_one(ada: Person, client: str):
    first = await ada.tokens(client)
    second = (await ada.refresh(client, first["refresh_token"])).json()
    third = (await ada.refresh(client, second["refresh_token"])).json()
    await ada.revoke(client, second["access_token"])
    assert [await alive(ada, tokens) for tokens in (first, second, third)] == [False, False, True]


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_the_answer_is_200_without_content(ada: Person, client: str, which: str):
    answer = await ada.revoke(client, (await ada.tokens(client))[which])
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("token", ["x", "glat_" + "A" * 72, "glrt_" + "A" * 72, "glac_unknown"])
async def test_revoking_an_unknown_token_succeeds(server: Server, ada: Person, client: str, token: str):
    before = server.recorded()
    assert (await ada.revoke(client, token)).status_code == 200
    assert server.recorded() == before


@pytest.mark.parametrize("hint", ["access_token", "id_token"])
async def test_a_wrong_token_type_hint_changes_nothing(ada: Person, client: str, hint: str):
    tokens = await ada.tokens(client)
    await ada.revoke(client, tokens["refresh_token"], token_type_hint=hint)
    assert not await alive(ada, tokens)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_a_client_cannot_revoke_the_token_of_another(ada: Person, client: str, which: str):
    other = (await ada.register())["client_id"]
    tokens = await ada.tokens(client)
    assert error_of(await ada.revoke(other, tokens[which])) == DEAD
    assert await alive(ada, tokens)


async def test_an_unknown_client_is_401(ada: Person, client: str):
    tokens = await ada.tokens(client)
    answer = await ada.revoke("glc_unknown", tokens["refresh_token"])
    assert error_of(answer) == (401, "invalid_client")
    assert await alive(ada, tokens)


async def test_a_confidential_client_has_to_authenticate(ada: Person):
    client = await ada.register(token_endpoint_auth_method="client_secret_basic")
    client_id, secret = client["client_id"], client["client_secret"]
    tokens = (await ada.redeem(client_id, await ada.code(client_id), client_secret=secret)).json()
    assert error_of(await ada.revoke(client_id, tokens["refresh_token"])) == (401, "invalid_client")
    assert await alive(ada, tokens)


@pytest.mark.parametrize("way", ["body", "header"])
async def test_a_confidential_client_authenticates_as_at_the_token_endpoint(ada: Person, way: str):
    client = await ada.register(token_endpoint_auth_method="client_secret_basic")
    client_id, secret = client["client_id"], client["client_secret"]
    tokens = (await ada.redeem(client_id, await ada.code(client_id), client_secret=secret)).json()
    body = {"client_id": client_id, "client_secret": secret} if way == "body" else {}
    header = basic(client_id, secret) if way == "header" else {}
    await ada.http.post("/revoke", data={"token": tokens["refresh_token"], **body}, headers=header)
    assert not await alive(ada, tokens)


async def test_wrong_credentials_in_the_header_are_challenged_with_basic(person: Person):
    answer = await person.http.post("/revoke", data={"token": "x"}, headers=basic("glc_unknown", "x"))
    assert error_of(answer) == (401, "invalid_client")
    assert answer.headers.get_list("www-authenticate") == ['Basic realm="token endpoint"']


MALFORMED = {
    "no token": {"client_id": "{client}"},
    "an empty token": {"client_id": "{client}", "token": ""},
    "two tokens": {"client_id": "{client}", "token": ["x", "y"]},
    "two clients": {"client_id": ["{client}", "{client}"], "token": "x"},
}


@pytest.mark.parametrize("form", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_is_refused(ada: Person, client: str, form: dict[str, Any]):
    body = urlencode(form, doseq=True).replace(urlencode({"": "{client}"})[1:], client)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await ada.http.post("/revoke", content=body, headers=headers)
    assert error_of(answer) == (400, "invalid_request")


async def test_only_a_form_is_read(ada: Person, client: str):
    tokens = await ada.tokens(client)
    answer = await ada.http.post("/revoke", json={"client_id": client, "token": tokens["refresh_token"]})
    assert error_of(answer) == (400, "invalid_request")
    assert await alive(ada, tokens)


async def test_nothing_is_revoked_by_a_get(ada: Person, client: str):
    tokens = await ada.tokens(client)
    form = {"client_id": client, "token": tokens["refresh_token"]}
    assert error_of(await ada.http.get("/revoke", params=form)) == (405, "method_not_allowed")
    assert await alive(ada, tokens)
