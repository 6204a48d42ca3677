"""Garbage is an error of the client, with SQLite and PostgreSQL, which accepts no text with a NUL."""

import base64

import httpx2
import pytest

from support.oauth import REDIRECT_URI, Person, error_of, query

GARBAGE = ["\0", "a\0b", "\ufeff", "\U0001f511" * 50, "'; --", "\\u0000"]
NUL = [text for text in GARBAGE if "\0" in text]
TOKEN = {
    "grant_type": "refresh_token",
    "client_id": "glc_client",
    "client_secret": "glcs_secret",
    "refresh_token": "glrt_token",
    "code": "glac_code",
    "code_verifier": "x" * 43,
    "redirect_uri": REDIRECT_URI,
    "resource": "https://mcp.example",
    "scope": "openid",
    "token": "glat_token",
}

REFRESH = {name: TOKEN[name] for name in ("grant_type", "refresh_token")}


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:4]))
@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
async def test_garbage_in_any_parameter_is_an_error_of_the_client(person: Person, path: str, text: str):
    for name in TOKEN:
        status, error = error_of(await person.http.post(path, data=TOKEN | {name: text}))
        assert status in (400, 401), name
        assert error == "invalid_request" or text not in NUL


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:4]))
async def test_garbage_in_basic_credentials_is_an_unknown_client(person: Person, text: str):
    for pair in (f"{text}:secret", f"glc_client:{text}", f"{text.encode()!r}:%00"):
        basic = base64.b64encode(pair.encode()).decode()
        answer = await person.http.post("/token", data=REFRESH, headers={"authorization": f"Basic {basic}"})
        assert error_of(answer) == (401, "invalid_client")


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:4]))
async def test_garbage_in_an_authorization_request_gets_a_page_or_an_error(person: Person, text: str):
    for name in ("client_id", "state", "scope", "resource", "redirect_uri", "code_challenge", "prompt"):
        answer = await person.http.get("/authorize", params=query("glc_client") | {name: text})
        assert answer.status_code == 400, name


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:4]))
async def test_garbage_as_a_segment_or_in_a_cookie_is_an_unknown_page(person: Person, text: str):
    quoted = httpx2.QueryParams({"x": text}).__str__().removeprefix("x=")
    cookie = {"cookie": f"grantledger-session={quoted}; grantledger-authorize={quoted}"}
    for path in (f"/authorize/{quoted}", f"/authorize/{quoted}/consent", "/authorize/account"):
        answer = await person.http.get(path, headers=cookie)
        assert answer.status_code < 500, path


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:4]))
async def test_garbage_in_a_registration_is_kept_as_text_or_refused(person: Person, text: str):
    metadata = {"client_name": "x", "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}
    for name in ("client_name", "client_uri", "software_id", "scope", "redirect_uris", "logo_uri"):
        value = [text] if name == "redirect_uris" else text
        answer = await person.http.post("/register", json=metadata | {name: value})
        assert answer.status_code in (201, 400), name


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:4]))
async def test_garbage_as_a_resource_or_a_token_opens_no_session(person: Person, text: str):
    answer = await person.http.get(
        "/session", params={"resource": text}, headers={"authorization": "Bearer glat_token"}
    )
    assert answer.status_code in (400, 401)
