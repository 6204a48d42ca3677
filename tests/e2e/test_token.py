"""`POST /token` with a code, and how clients authenticate there."""

import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest

from support.oauth import LongAgo, Person, basic, error_of, redemption
from support.server import Server

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def post(person: Person, body: str | bytes, **headers: str) -> httpx2.Response:
    return await person.http.post("/token", content=body, headers={**FORM, **headers})


# The answer


async def test_a_code_is_exchanged_for_tokens(ada: Person, client: str):
    answer = await ada.redeem(client, await ada.code(client, scope="profile email"))
    tokens = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(r"glat_[A-Za-z0-9_-]{72}", tokens.pop("access_token"))
    assert re.fullmatch(r"glrt_[A-Za-z0-9_-]{72}", tokens.pop("refresh_token"))
    assert tokens == {"token_type": "Bearer", "expires_in": 3600, "scope": "profile email"}


async def test_token_responses_may_not_be_cached(ada: Person, client: str):
    answer = await ada.redeem(client, await ada.code(client))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


async def test_the_redirect_uri_may_be_left_out(ada: Person, client: str):
    form = redemption(client, await ada.code(client))
    del form["redirect_uri"]
    assert (await ada.token(**form)).status_code == 200


async def test_unknown_parameters_are_ignored(ada: Person, client: str):
    answer = await ada.redeem(client, await ada.code(client), audience="x", client_assertion="y")
    assert answer.status_code == 200


async def test_an_empty_parameter_is_an_omitted_one(ada: Person, client: str):
    answer = await ada.redeem(client, await ada.code(client), client_secret="", resource="", redirect_uri="")
    assert answer.status_code == 200


# Refusals, none of which consumes the code


WRONG: dict[str, tuple[dict[str, str | None], tuple[int, str]]] = {
    "another verifier": ({"code_verifier": "x" * 43}, (400, "invalid_grant")),
    "no verifier": ({"code_verifier": None}, (400, "invalid_request")),
    "another redirect URI": ({"redirect_uri": "https://client.example/other"}, (400, "invalid_grant")),
    "another resource": ({"resource": "https://evil.example/mcp"}, (400, "invalid_target")),
    "no code": ({"code": None}, (400, "invalid_request")),
    "no grant type": ({"grant_type": None}, (400, "invalid_request")),
    "an obsolete grant type": ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    "an unknown client": ({"client_id": "glc_unknown"}, (401, "invalid_client")),
    "a secret that the client does not have": ({"client_secret": "secret"}, (401, "invalid_client")),
}


def changed(form: dict[str, str], wrong: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**form, **wrong}.items() if value is not None}


@pytest.mark.parametrize(("wrong", "refusal"), WRONG.values(), ids=WRONG)
async def test_a_wrong_request_is_refused_and_does_not_use_the_code(
    server: Server, ada: Person, client: str, wrong: dict[str, str | None], refusal: tuple[int, str]
):
    form = redemption(client, await ada.code(client))
    before = server.recorded()
    assert error_of(await ada.token(**changed(form, wrong))) == refusal
    assert server.recorded() == before
    assert (await ada.token(**form)).status_code == 200


@pytest.mark.full
async def test_a_code_is_refused_after_its_expiry(long_ago: LongAgo):
    assert error_of(long_ago.code) == (400, "invalid_grant")


# Replays


async def test_a_code_is_refused_the_second_time(ada: Person, client: str):
    code = await ada.code(client)
    await ada.redeem(client, code)
    assert error_of(await ada.redeem(client, code)) == (400, "invalid_grant")


async def test_a_replay_revokes_the_grant_that_the_code_opened(ada: Person, client: str):
    code = await ada.code(client)
    tokens = (await ada.redeem(client, code)).json()
    await ada.redeem(client, code)
    assert (await ada.session(tokens["access_token"])).status_code == 401
    assert error_of(await ada.refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")


# Who the client is


def encoded(text: str) -> str:
    """Form-encode every character, which RFC 6749 section 2.3.1 allows and few do."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


Way = Callable[[str, str], tuple[dict[str, str], dict[str, str]]]
WAYS: dict[str, Way] = {
    "in the body": lambda i, s: ({"client_id": i, "client_secret": s}, {}),
    "in the header": lambda i, s: ({}, basic(i, s)),
    "in the header, form-encoded": lambda i, s: ({}, basic(encoded(i), encoded(s))),
    "in the header, with the id in the body too": lambda i, s: ({"client_id": i}, basic(i, s)),
    "in the header, the scheme in capitals": lambda i, s: (
        {},
        {"authorization": basic(i, s)["authorization"].replace("Basic", "BASIC")},
    ),
    "the secret in the body, the id in the header": lambda i, s: ({"client_secret": s}, basic(i, "")),
}


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_client_authenticates_with_its_secret(ada: Person, method: str, way: Way):
    client = await ada.register(token_endpoint_auth_method=method)
    client_id = client["client_id"]
    form = redemption(client_id, await ada.code(client_id))
    del form["client_id"]
    body, header = way(client_id, client["client_secret"])
    answer = await ada.http.post("/token", data={**form, **body}, headers=header)
    assert answer.status_code == 200


async def test_a_public_client_may_say_who_it_is_in_the_header(ada: Person, client: str):
    form = redemption(client, await ada.code(client))
    del form["client_id"]
    answer = await ada.http.post("/token", data=form, headers=basic(client, ""))
    assert answer.status_code == 200


SECRET = "glcs_" + "x" * 43
UNPROVED: dict[str, Way] = {
    "no secret": lambda i, _: ({"client_id": i}, {}),
    "another secret in the body": lambda i, _: ({"client_id": i, "client_secret": SECRET}, {}),
    "no client": lambda *_: ({}, {}),
    "another secret in the header": lambda i, _: ({}, basic(i, SECRET)),
    "no secret in the header": lambda i, _: ({}, basic(i, "")),
    "a secret without a client id": lambda _, s: ({}, basic("", s)),
    "an unknown client in the header": lambda _, s: ({}, basic("glc_unknown", s)),
    "a header without a colon": lambda i, _: ({}, {"authorization": f"Basic {_base64(i)}"}),
    "a header that is not base64": lambda i, s: ({}, {"authorization": f"Basic {i}:{s}"}),
    "a header that is not UTF-8": lambda *_: ({}, {"authorization": "Basic //86eA=="}),
    "a header that is not ASCII": lambda *_: ({}, {"authorization": "Basic \u00e9\u00e9\u00e9\u00e9"}),
    "an empty header": lambda i, s: ({"client_id": i, "client_secret": s}, {"authorization": ""}),
    "a bearer token": lambda i, s: (
        {"client_id": i, "client_secret": s},
        {"authorization": f"Bearer {s}"},
    ),
}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("way", UNPROVED.values(), ids=UNPROVED)
async def test_a_client_that_fails_to_authenticate_is_401_invalid_client(ada: Person, way: Way):
    client = await ada.register(token_endpoint_auth_method="client_secret_basic")
    form = redemption(client["client_id"], "glac_unknown")
    del form["client_id"]
    body, header = way(client["client_id"], client["client_secret"])
    sent = {name.encode(): value.encode("latin-1") for name, value in header.items()}
    answer = await ada.http.post("/token", data={**form, **body}, headers=sent)
    assert error_of(answer) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("header", "challenges"),
    [({}, []), (basic("glc_unknown", "x"), ['Basic realm="token endpoint"'])],
    ids=["without the header", "with the header"],
)
async def test_wrong_credentials_in_the_header_are_challenged_with_basic(
    person: Person, header: dict[str, str], challenges: list[str]
):
    form = {"grant_type": "authorization_code", "code": "x"}
    answer = await person.http.post("/token", data=form, headers=header)
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == challenges


MIXED: dict[str, Way] = {
    "a secret in header and body": lambda i, s: ({"client_id": i, "client_secret": s}, basic(i, s)),
    "another secret in the body": lambda i, s: ({"client_secret": SECRET}, basic(i, s)),
    "another id in the body": lambda i, s: ({"client_id": "glc_other"}, basic(i, s)),
    "another id in the header": lambda i, s: ({"client_id": i, "client_secret": s}, basic("glc_other", "")),
}


@pytest.mark.parametrize("way", MIXED.values(), ids=MIXED)
async def test_more_than_one_way_of_authentication_is_refused(ada: Person, way: Way):
    client = await ada.register(token_endpoint_auth_method="client_secret_basic")
    form = redemption(client["client_id"], "glac_unknown")
    del form["client_id"]
    body, header = way(client["client_id"], client["client_secret"])
    answer = await ada.http.post("/token", data={**form, **body}, headers=header)
    assert error_of(answer) == (400, "invalid_request")


async def test_two_authorization_headers_are_refused(ada: Person):
    client = await ada.register(token_endpoint_auth_method="client_secret_basic")
    headers = [
        (name, value) for name, value in basic(client["client_id"], client["client_secret"]).items()
    ] * 2
    form = urlencode({"grant_type": "authorization_code", "code": "x"})
    answer = await ada.http.post("/token", content=form, headers=[*FORM.items(), *headers])
    assert error_of(answer) == (400, "invalid_request")


async def test_no_parameter_is_read_from_the_url(ada: Person):
    client = await ada.register(token_endpoint_auth_method="client_secret_post")
    form = redemption(client["client_id"], "glac_unknown")
    del form["client_id"]
    credentials = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    answer = await ada.http.post("/token", params=credentials, data=form)
    assert error_of(answer) == (401, "invalid_client")


async def test_unknown_clients_and_wrong_secrets_get_the_same_refusal(ada: Person):
    client = await ada.register(token_endpoint_auth_method="client_secret_post")
    wrong = await ada.redeem(client["client_id"], "glac_unknown", client_secret="wrong")
    unknown = await ada.redeem("glc_unknown", "glac_unknown", client_secret="wrong")
    assert wrong.content == unknown.content


# The form of the request


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "application/xml", ""]
)
async def test_only_a_form_is_read(ada: Person, client: str, media_type: str):
    body = urlencode(redemption(client, await ada.code(client)))
    answer = await post(ada, body, **{"content-type": media_type})
    assert error_of(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    "media_type",
    ["application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-Urlencoded"],
)
async def test_a_form_may_name_its_charset(ada: Person, client: str, media_type: str):
    body = urlencode(redemption(client, await ada.code(client)))
    assert (await post(ada, body, **{"content-type": media_type})).status_code == 200


async def test_a_json_body_is_no_form(ada: Person, client: str):
    answer = await ada.http.post("/token", json=redemption(client, await ada.code(client)))
    assert error_of(answer) == (400, "invalid_request")


REPEATED = ["grant_type", "code", "code_verifier", "redirect_uri", "client_id", "client_secret", "x"]


@pytest.mark.parametrize("name", REPEATED)
async def test_a_repeated_parameter_is_refused_and_consumes_nothing(ada: Person, client: str, name: str):
    form = redemption(client, await ada.code(client))
    once = {"client_secret": "", "x": "1", **form}
    answer = await post(ada, urlencode([*once.items(), (name, once[name])]))
    assert error_of(answer) == (400, "invalid_request")
    assert (await ada.token(**form)).status_code == 200


async def test_two_different_resources_in_one_request_are_refused(ada: Person, server: Server, client: str):
    form = redemption(client, await ada.code(client))
    both = [("resource", f"{server.origin}/mcp"), ("resource", "https://evil.example/mcp")]
    answer = await post(ada, urlencode([*form.items(), *both]))
    assert error_of(answer) == (400, "invalid_target")


UNREADABLE: dict[str, Any] = {
    "no UTF-8": "grant_type=authorization_code&code=%ff",
    "not ASCII": "grant_type=authorization_code&code=\u00e9".encode(),
    "many parameters": "&".join(f"p{n}=1" for n in range(65)),
    "many resources": "&".join(f"resource=r{n}" for n in range(9)),
    "a long value": "code=" + "x" * 8193,
    "nothing": "",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_form_that_cannot_be_read_is_refused(person: Person, body: str | bytes):
    assert error_of(await post(person, body)) == (400, "invalid_request")


async def test_a_form_of_more_than_64_kibibytes_is_refused(person: Person):
    assert error_of(await post(person, "&".join([f"a={'x' * 8000}"] * 9))) == (413, "invalid_request")


async def test_a_nul_in_a_parameter_is_refused(person: Person):
    """No parameter may hold one (RFC 6749 appendix A)."""
    answer = await post(person, f"grant_type=authorization_code&code=x&client_id={quote(chr(0))}")
    assert error_of(answer) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_the_token_endpoint_accepts_only_post(ada: Person, client: str, method: str):
    form = redemption(client, await ada.code(client))
    answer = await ada.http.request(method, "/token", params=form)
    assert error_of(answer) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]
