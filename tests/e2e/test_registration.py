"""`POST /register` (RFC 7591): what real clients send, what they get, and what is refused."""

import asyncio
import json
import re
from typing import Any

import pytest

from support.oauth import Person, error_of
from support.registrations import CLIENTS, registration_body
from support.server import Server

JSON = {"content-type": "application/json"}
HTTPS = "https://client.example/callback"


async def post(person: Person, body: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await person.http.post("/register", content=content, headers=JSON)


# What real clients send


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_is_registered(person: Person, name: str):
    answer = await post(person, registration_body(name))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_keeps_all_its_redirect_uris(person: Person, name: str):
    body = registration_body(name)
    assert (await post(person, body)).json()["redirect_uris"] == json.loads(body)["redirect_uris"]


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_is_told_its_effective_metadata_without_placeholders(person: Person, name: str):
    answer = (await post(person, registration_body(name))).json()
    required = {"client_id", "client_id_issued_at", "redirect_uris", "token_endpoint_auth_method"}
    assert required | {"grant_types", "response_types", "application_type", "scope"} <= set(answer)
    assert not [member for member, value in answer.items() if value in (None, "", [])]


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_gets_a_client_id_that_needs_no_encoding(person: Person, name: str):
    client_id = (await post(person, registration_body(name))).json()["client_id"]
    assert re.fullmatch(r"glc_[A-Za-z0-9_-]{16,}", client_id)


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_gets_a_secret_only_with_a_method_that_uses_one(person: Person, name: str):
    answer = (await post(person, registration_body(name))).json()
    if answer["token_endpoint_auth_method"] == "none":
        assert not {"client_secret", "client_secret_expires_at"} & set(answer)
    else:
        assert re.fullmatch(r"glcs_[A-Za-z0-9_-]{43}", answer["client_secret"])
        assert answer["client_secret_expires_at"] == 0


METHODS = {
    "chatgpt": "none",  # its favourite, private_key_jwt, is not offered
    "claude-ai": "client_secret_post",
    "python-sdk": "client_secret_basic",  # the default where nothing is said
}


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_gets_the_authentication_method_it_can_use(person: Person, name: str):
    answer = (await post(person, registration_body(name))).json()
    assert answer["token_endpoint_auth_method"] == METHODS.get(name, "none")


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_gets_the_grants_that_are_offered(person: Person, name: str):
    answer = (await post(person, registration_body(name))).json()
    assert answer["grant_types"] == ["authorization_code", "refresh_token"]
    assert answer["response_types"] == ["code"]


WEB = {"chatgpt", "chatgpt-legacy", "claude-ai", "cursor"}


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_gets_the_application_type_that_its_redirect_uris_show(person: Person, name: str):
    answer = (await post(person, registration_body(name))).json()
    assert answer["application_type"] == ("web" if name in WEB else "native")


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_may_send_its_users_to_each_redirect_uri(person: Person, name: str):
    client = (await post(person, registration_body(name))).json()
    for redirect_uri in client["redirect_uris"]:
        answer = await person.authorize(client["client_id"], redirect_uri=redirect_uri)
        assert answer.status_code == 303, redirect_uri
        assert answer.headers["location"].startswith("/authorize/"), redirect_uri


@pytest.mark.parametrize("name", CLIENTS)
async def test_members_that_mean_nothing_here_are_not_echoed(person: Person, name: str):
    answer = (await post(person, registration_body(name))).json()
    assert not {"jwks_uri", "token_endpoint_auth_signing_alg", "token_endpoint_auth_methods_supported"} & set(
        answer
    )


async def test_scopes_of_a_registration_are_those_that_are_known(member: Person):
    client = await member.register(scope=" notes:read  openid unknown notes:read ")
    assert client["scope"] == "notes:read openid"


# The same client


async def test_an_identical_public_registration_is_the_same_client(person: Person):
    first = await person.register(client_name="Twice")
    assert await person.register(client_name="Twice") == first


async def test_an_identical_public_registration_adds_nothing_to_the_ledger(server: Server, person: Person):
    await person.register(client_name="Grows not")
    before = server.events()
    await person.register(client_name="Grows not")
    assert server.events() == before


async def test_twenty_identical_registrations_at_once_are_one_client(server: Server, person: Person):
    before = server.events()
    clients = await asyncio.gather(*(person.register(client_name="At once") for _ in range(20)))
    assert len({client["client_id"] for client in clients}) == 1
    assert server.events() == before + 1


async def test_the_order_of_lists_makes_no_other_client(person: Person):
    uris, grants = [HTTPS, "http://127.0.0.1/callback"], ["authorization_code", "refresh_token"]
    first = await person.register(client_name="Order", redirect_uris=uris, grant_types=grants)
    second = await person.register(client_name="Order", redirect_uris=uris[::-1], grant_types=grants[::-1])
    assert first["client_id"] == second["client_id"]


@pytest.mark.parametrize(
    "other",
    [
        {"client_name": "Somebody else"},
        {"redirect_uris": ["https://other.example/callback"]},
        {"grant_types": ["authorization_code"]},
        {"scope": "openid email"},
        {"client_uri": "https://client.example/"},
        {"application_type": "native"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_a_registration_that_differs_in_anything_is_another_client(
    person: Person, other: dict[str, Any]
):
    ours = await person.register(client_name="One")
    theirs = await person.register(**{"client_name": "One", **other})
    assert ours["client_id"] != theirs["client_id"]


async def test_a_confidential_client_is_new_each_time(person: Person):
    asked = {"client_name": "Secret keeper", "token_endpoint_auth_method": "client_secret_post"}
    first, second = await person.register(**asked), await person.register(**asked)
    assert first["client_id"] != second["client_id"]
    assert first["client_secret"] != second["client_secret"]


async def test_a_registrant_cannot_choose_the_client_id_or_the_secret(person: Person):
    chosen = {"client_id": "glc_chosen", "client_secret": "chosen", "client_id_issued_at": 1}
    client = await person.register(token_endpoint_auth_method="client_secret_post", **chosen)
    assert not {"glc_chosen", "chosen", 1} & {client[member] for member in chosen}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_a_registrant_can_neither_read_change_nor_delete_a_client(person: Person, method: str):
    client = await person.register()
    for path in (f"/register/{client['client_id']}", "/register"):
        answer = await person.http.request(method, path, json=client)
        assert error_of(answer) in ((404, "not_found"), (405, "method_not_allowed")), path


# What is made of a registration


async def test_nothing_but_a_redirect_uri_is_needed(person: Person):
    answer = await post(person, {"redirect_uris": [HTTPS]})
    registered = answer.json()
    for own in ("client_id", "client_id_issued_at", "client_secret"):
        del registered[own]
    assert registered == {
        "client_secret_expires_at": 0,
        "redirect_uris": [HTTPS],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "application_type": "web",
        "scope": "openid",
    }


async def test_unknown_members_are_ignored(person: Person):
    unknown = {"resource": "https://mcp.example/", "contacts": ["ada@example.com"], "x": {"y": [1, None]}}
    client = await person.register(**unknown)
    assert not set(unknown) & set(client)


async def test_a_null_member_is_an_omitted_one(person: Person):
    client = await person.register(client_uri=None, scope=None, logo_uri=None, application_type=None)
    assert "client_uri" not in client
    assert client["application_type"] == "web"


async def test_a_missing_application_type_is_inferred_from_loopback(person: Person):
    client = await person.register(redirect_uris=["http://localhost:3000/callback"])
    assert client["application_type"] == "native"


@pytest.mark.parametrize(
    "outside",
    [
        "http://client.example/callback",
        "http://192.168.0.1/callback",
        "unknownapp://callback",
        "vscode://file/etc/passwd",
        "cursor://anysphere.cursor-deeplink/prompt?text=delete",
    ],
)
async def test_a_redirect_uri_outside_the_policy_is_left_out_and_the_others_stay(
    person: Person, outside: str
):
    client = await person.register(redirect_uris=[outside, HTTPS])
    assert client["redirect_uris"] == [HTTPS]


async def test_a_redirect_uri_that_was_left_out_is_refused_at_authorize(person: Person):
    client = await person.register(redirect_uris=["unknownapp://callback", HTTPS])
    answer = await person.authorize(client["client_id"], redirect_uri="unknownapp://callback")
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_private_use_scheme_is_left_out_for_a_confidential_client(person: Person):
    uris = ["com.example.app:/callback", HTTPS]
    client = await person.register(redirect_uris=uris, token_endpoint_auth_method="client_secret_basic")
    assert client["redirect_uris"] == [HTTPS]


async def test_a_scheme_with_a_dot_is_registered_for_a_public_client(person: Person):
    client = await person.register(redirect_uris=["com.example.app:/callback"])
    assert client["redirect_uris"] == ["com.example.app:/callback"]


@pytest.mark.parametrize(
    "uri",
    [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "vscode://publisher.extension/callback",
        "vscode-insiders://publisher.extension/callback",
        "windsurf://publisher.extension/callback",
        "zed://oauth/callback",
    ],
)
async def test_an_editor_that_everybody_knows_is_registered_by_its_scheme(person: Person, uri: str):
    client = await person.register(redirect_uris=[uri])
    assert client["redirect_uris"] == [uri]


async def test_an_operator_can_allow_a_redirect_uri_of_a_native_client(member: Person):
    client = await member.register(redirect_uris=["myapp://callback", "myapp://other"])
    assert client["redirect_uris"] == ["myapp://callback"]


# Refusals


FORBIDDEN = [
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "vbscript:x",
    "blob:https://client.example/1",
    "about:blank",
    "/relative",
    "relative",
    "//client.example/callback",
    "",
    "https:/client.example/",
    "https://",
    "https://client.example/call back",
    "https://client.example/\ncallback",
    "https://client.example/\tcallback",
    "https://client.example/\x00",
    "https://client.example/\\callback",
    "https://client.example/callback#fragment",
    "https://client.example/callback#",
    "https://user@client.example/",
    "https://user:password@client.example/",
    "https://client.example@evil.example/",
    "https://client_example/",
    "https://cliént.example/",
    "https://client.example:99999/",
    "https://[::1/",
    "https://[client.example]/",
    "http://127.1/callback",
    "https://client.example/a/../b",
    "https://*.example/callback",
    "https://client.example/%zz",
]


@pytest.mark.parametrize("uri", FORBIDDEN, ids=ascii)
async def test_one_forbidden_redirect_uri_refuses_the_whole_registration(person: Person, uri: str):
    answer = await post(person, {"redirect_uris": [HTTPS, uri], "token_endpoint_auth_method": "none"})
    assert error_of(answer) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize("path", ["/authorize", "/authorize/x", "/%61uthorize/x", "//authorize"])
async def test_the_pages_of_this_server_are_no_redirect_uri_on_any_port(person: Person, path: str):
    answer = await post(person, {"redirect_uris": [HTTPS, f"http://127.0.0.1:9{path}"]})
    assert error_of(answer) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    "uris",
    [None, [], ["http://client.example/"], ["unknownapp://callback"], [f"{HTTPS}/{n}" for n in range(21)]],
    ids=["none given", "an empty list", "none over TLS", "none known", "too many"],
)
async def test_a_registration_without_a_redirect_uri_that_holds_is_refused(person: Person, uris: Any):
    answer = await post(person, {"redirect_uris": uris, "token_endpoint_auth_method": "none"})
    assert error_of(answer) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    "metadata",
    [
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["refresh_token"]},
        {"response_types": ["token"]},
    ],
    ids=str,
)
async def test_metadata_without_which_the_client_cannot_work_is_refused(
    person: Person, metadata: dict[str, Any]
):
    answer = await post(person, {"redirect_uris": [HTTPS], **metadata})
    assert error_of(answer) == (400, "invalid_client_metadata")


DEEP = 30_000
MALFORMED = {
    "nothing": b"",
    "no JSON": b"redirect_uris=https://client.example/",
    "half of it": b'{"redirect_uris": ["https://client.example/"]',
    "an array": b'["https://client.example/"]',
    "a text": b'"https://client.example/"',
    "a text for a list": b'{"redirect_uris": "https://client.example/"}',
    "a number for a text": b'{"redirect_uris": ["https://client.example/"], "client_name": 5}',
    "a number for a redirect URI": b'{"redirect_uris": [5]}',
    "no UTF-8": b'{"redirect_uris": ["https://client.example/"], "client_name": "\xff"}',
    "half a surrogate pair": b'{"redirect_uris": ["https://client.example/"], "client_name": "\\ud800"}',
    "nested beyond reason": b'{"redirect_uris": ["https://client.example/"], "x": '
    + b"[" * DEEP
    + b"]" * DEEP
    + b"}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_body_that_is_no_client_metadata_is_refused(person: Person, body: bytes):
    assert error_of(await post(person, body)) == (400, "invalid_client_metadata")


async def test_a_body_of_more_than_64_kibibytes_is_refused(person: Person):
    answer = await post(person, {"redirect_uris": [HTTPS], "x": "x" * 65_536})
    assert error_of(answer) == (413, "invalid_request")


async def test_a_refused_registration_leaves_nothing_in_the_ledger(server: Server, person: Person):
    before = server.events()
    await post(person, {"redirect_uris": ["javascript:alert(1)"]})
    await post(person, {"redirect_uris": [HTTPS], "grant_types": ["client_credentials"]})
    await post(person, b"{")
    assert server.events() == before
