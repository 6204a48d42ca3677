"""`POST /register` (RFC 7591): what real clients send, what they get, and what is refused."""

import asyncio
import json
import re
from typing import Any

import pytest

from support.oauth import Person, error_of
from support.raw_http import ask, client_metadata
from support.raw_http import post as post_of
from support.registrations import CLIENTS, registration_body
from support.server import Server

JSON = {"content-type": "application/json"}
HTTPS = "https://client.example/callback"


async def post(person: Person, body: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await person.http.post("/register", content=content, headers=JSON)


# What real clients send


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_registers_and_may_send_its_users_to_each_redirect_uri(person: Person, name: str):
    body = registration_body(name)
    answer = await post(person, body)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    client = answer.json()
    assert client["redirect_uris"] == json.loads(body)["redirect_uris"]
    for redirect_uri in client["redirect_uris"]:
        asked = await person.authorize(client["client_id"], redirect_uri=redirect_uri)
        assert asked.headers["location"].startswith("/authorize/"), redirect_uri


@pytest.mark.parametrize("method", ["none", "client_secret_post"])
async def test_only_a_confidential_client_gets_a_secret(person: Person, method: str):
    client = await person.register(token_endpoint_auth_method=method)
    assert re.fullmatch(r"glc_[A-Za-z0-9_-]{16,}", client["client_id"])
    if method == "none":
        assert not {"client_secret", "client_secret_expires_at"} & set(client)
    else:
        assert re.fullmatch(r"glcs_[A-Za-z0-9_-]{43}", client["client_secret"])


# The same client


async def test_an_identical_public_registration_is_the_same_client(person: Person):
    first = await person.register(client_name="Twice")
    assert await person.register(client_name="Twice") == first


async def test_twenty_identical_registrations_at_once_are_one_client(server: Server, person: Person):
    before = server.events()
    clients = await asyncio.gather(*(person.register(client_name="At once") for _ in range(20)))
    assert len({client["client_id"] for client in clients}) == 1
    assert server.events() == before + 1


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


# What is registered


async def test_only_a_redirect_uri_is_required(person: Person):
    answer = await post(person, {"redirect_uris": [HTTPS]})
    registered = answer.json()
    for own in ("client_id", "client_id_issued_at", "client_secret"):
        del registered[own]
    assert registered == {
        "client_secret_expires_at": 0,
        "redirect_uris": [HTTPS],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "web",
        "scope": "openid",
    }


async def test_unknown_members_are_ignored(person: Person):
    unknown = {"resource": "https://mcp.example/", "contacts": ["ada@example.com"], "x": {"y": [1, None]}}
    client = await person.register(**unknown)
    assert not set(unknown) & set(client)


async def test_an_operator_can_allow_a_redirect_uri_of_a_native_client(member: Person):
    client = await member.register(redirect_uris=["myapp://callback", "myapp://other"])
    assert client["redirect_uris"] == ["myapp://callback"]


# Refusals


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no redirect URI": ({"redirect_uris": None}, "invalid_redirect_uri"),
    "one that is forbidden": ({"redirect_uris": [HTTPS, "javascript:alert(1)"]}, "invalid_redirect_uri"),
    "a page of this server": (
        {"redirect_uris": [HTTPS, "http://127.0.0.1:9/authorize/x"]},
        "invalid_redirect_uri",
    ),
    "a method that is not offered": (
        {"redirect_uris": [HTTPS], "token_endpoint_auth_method": "private_key_jwt"},
        "invalid_client_metadata",
    ),
}


@pytest.mark.parametrize(("body", "error"), REFUSED.values(), ids=REFUSED)
async def test_metadata_that_cannot_be_used_is_refused(person: Person, body: dict[str, Any], error: str):
    assert error_of(await post(person, body)) == (400, error)


REASONS = {
    "redirect_uris has more than 20 entries.": {
        "redirect_uris": [f"https://client.example/{number}" for number in range(21)]
    },
    "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post.": {
        "redirect_uris": [HTTPS],
        "token_endpoint_auth_method": "private_key_jwt",
    },
    "grant_types must include authorization_code, or be omitted.": {
        "redirect_uris": [HTTPS],
        "grant_types": ["refresh_token"],
    },
    "response_types must include code, or be omitted.": {
        "redirect_uris": [HTTPS],
        "response_types": ["token"],
    },
    "scope has at most 1 KiB, and all metadata together at most 16 KiB.": {
        "redirect_uris": [HTTPS],
        "scope": "s" * 1025,
    },
    "No redirect URI is allowed: use https, loopback http, or a private-use scheme with a dot, and a host "
    "in lower case without _.": {"redirect_uris": ["https://my_app.example/callback"]},
}


@pytest.mark.parametrize("reason", REASONS)
async def test_a_refusal_names_its_true_reason(person: Person, reason: str):
    assert (await post(person, REASONS[reason])).json()["error_description"] == reason


async def test_a_redirect_uri_with_an_unusual_host_is_left_out(person: Person):
    uris = ["https://My-App.example/callback", "https://my_app.example/callback", HTTPS]
    assert (await person.register(redirect_uris=uris))["redirect_uris"] == [HTTPS]


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
async def test_a_body_without_client_metadata_is_refused(person: Person, body: bytes):
    assert error_of(await post(person, body)) == (400, "invalid_client_metadata")


async def test_a_body_of_more_than_64_kibibytes_is_refused(person: Person):
    answer = await post(person, {"redirect_uris": [HTTPS], "x": "x" * 65_536})
    assert error_of(answer) == (413, "invalid_request")


async def test_another_loopback_port_is_the_same_client_and_the_answer_repeats_the_uri(person: Person):
    uris = [f"http://localhost:{port}/callback" for port in (3118, 49152)]
    answers = [await person.register(client_name="Claude Code", redirect_uris=[uri]) for uri in uris]
    assert answers[0]["client_id"] == answers[1]["client_id"]
    assert [answer["redirect_uris"] for answer in answers] == [[uri] for uri in uris]


async def test_metadata_of_more_than_16_kibibytes_is_refused(person: Person):
    uris = [f"https://client.example/{number}/" + "x" * 2_000 for number in range(9)]
    assert error_of(await post(person, {"redirect_uris": uris})) == (400, "invalid_client_metadata")


OTHER_SPELLINGS = ["//register", "/register/", "/./register", "/x/../register", "/%72egister", "/register%2F"]


@pytest.mark.parametrize("path", OTHER_SPELLINGS)
def test_another_spelling_of_a_path_is_not_found(server: Server, path: str):
    answer = ask(server.origin, post_of(path, client_metadata(), kind="application/json"))
    assert answer is not None
    assert answer.error == (404, "not_found")


async def test_a_refused_registration_leaves_nothing_in_the_ledger(server: Server, person: Person):
    before = server.events()
    await post(person, {"redirect_uris": ["javascript:alert(1)"]})
    await post(person, {"redirect_uris": [HTTPS], "grant_types": ["client_credentials"]})
    await post(person, b"{")
    assert server.events() == before
