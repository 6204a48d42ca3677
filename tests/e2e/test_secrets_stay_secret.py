"""After everything that a user and a client can do, none of their secrets is on the disk or in the log."""

import base64
import stat
from pathlib import Path

import httpx2
import pytest

from support.oauth import (
    REDIRECT_URI,
    VERIFIER,
    Person,
    basic,
    csrf_token,
    returned,
)
from support.server import EMAIL, PASSWORD, Server
from support.stores import once


@pytest.fixture(scope="module")
def refusals() -> list[httpx2.Response]:
    """Every response of the walk that was a refusal."""
    return []


@pytest.fixture(scope="module")
async def secrets(server: Server, refusals: list[httpx2.Response]) -> dict[str, str]:
    """Do everything, with right and wrong values, and return every secret that was used."""

    async def keep(answer: httpx2.Response) -> None:
        if answer.is_error:
            await answer.aread()
            refusals.append(answer)

    person = Person.at(server.origin)
    person.http.event_hooks["response"].append(keep)
    async with person.http:
        client = await person.register(token_endpoint_auth_method="client_secret_basic")
        client_id, client_secret = client["client_id"], client["client_secret"]
        sign_in = await person.asked(client_id)
        await person.sign_in(sign_in, password="another password")
        consent = await person.sign_in(sign_in)
        cookies = dict(person.cookies())
        code = returned(await person.submit(consent, "consent", decision="allow"))["code"]
        spare = await person.code(client_id, prompt="consent")
        proof = basic(client_id, client_secret)
        form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}

        async def token(**more: str) -> dict[str, str]:
            return dict((await person.http.post("/token", data={**form, **more}, headers=proof)).json())

        first = await token(code=code)
        second = await token(grant_type="refresh_token", refresh_token=first["refresh_token"])
        await person.session(second["access_token"])
        await person.session(second["access_token"], resource="https://evil.example/")
        await person.redeem(client_id, spare, client_secret=client_secret, code_verifier="x" * 43)
        await person.http.get("/session", params={"access_token": second["access_token"]})
        await person.http.get(f"/nowhere/{spare}")
        await person.http.post("/token", content=f'{{"code": "{spare}"}}')
        await person.revoke(client_id, second["access_token"], client_secret=client_secret)
        await token(code=code)  # a replay
        await token(grant_type="refresh_token", refresh_token=second["refresh_token"])
    (request,) = [value for name, value in cookies.items() if "request" in name]
    return {
        "client secret": client_secret,
        "code": code,
        "code that was never used": spare,
        "verifier": VERIFIER,
        "first access token": first["access_token"],
        "first refresh token": first["refresh_token"],
        "second access token": second["access_token"],
        "second refresh token": second["refresh_token"],
        "password": PASSWORD,
        "wrong password": "another password",
        "e-mail address": EMAIL,
        "local part of the e-mail address": EMAIL.partition("@")[0] + "@",
        "session cookie": person.session_cookie(),
        "secret in the session cookie": person.session_cookie().partition(".")[2],
        "cookie of the request": request,
        "form token": csrf_token(consent),
        "master secret": Path(f"{server.database}.secret").read_text().strip(),
    }


SECRETS = [
    "client secret",
    "code",
    "code that was never used",
    "verifier",
    "first access token",
    "first refresh token",
    "second access token",
    "second refresh token",
    "password",
    "wrong password",
    "e-mail address",
    "local part of the e-mail address",
    "session cookie",
    "secret in the session cookie",
    "cookie of the request",
    "form token",
    "master secret",
]


def spellings(secret: str) -> list[bytes]:
    """Return the forms in which a secret could be written to a file or a response."""
    raw = secret.encode()
    body = secret.partition("_")[2] if secret.startswith("gl") else secret
    encoded = [
        base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
        raw.hex().encode(),
    ]
    return [raw, body.encode(), secret.encode("utf-16-le"), *encoded]


@pytest.mark.parametrize("name", SECRETS)
async def test_a_secret_is_not_on_the_disk(server: Server, secrets: dict[str, str], name: str):
    written = server.written()
    assert b"client.registered.v1" in written
    assert not [spelling for spelling in spellings(secrets[name]) if spelling in written]


@pytest.mark.parametrize("name", SECRETS)
async def test_a_secret_is_not_in_the_log(server: Server, secrets: dict[str, str], name: str):
    log = server.log.encode()
    assert b"Grantledger serves" in log
    assert not [spelling for spelling in spellings(secrets[name]) if spelling in log]


ITS_OWN = {"e-mail address", "local part of the e-mail address", "form token"}
"""The page of a refused sign-in shows these again, to the person who typed them."""


@pytest.mark.parametrize("name", [name for name in SECRETS if name not in ITS_OWN])
async def test_no_refusal_repeats_a_secret(
    secrets: dict[str, str], refusals: list[httpx2.Response], name: str
):
    assert {answer.status_code for answer in refusals} >= {400, 401, 404}
    texts = [str(answer.headers).encode() + answer.content for answer in refusals]
    assert not [spelling for spelling in spellings(secrets[name]) for text in texts if spelling in text]


@pytest.mark.parametrize("name", ["access token", "refresh token"])
async def test_the_seal_of_a_token_is_not_on_the_disk(server: Server, secrets: dict[str, str], name: str):
    raw = base64.urlsafe_b64decode(secrets[f"second {name}"].partition("_")[2])
    assert raw[-20:] not in server.written()  # the end of its seal


def test_no_password_hash_is_readable_on_the_disk(server: Server):
    assert b"$argon2" not in server.written()


def test_the_log_has_no_unexpected_error(server: Server):
    assert "Traceback" not in server.log
    assert "unexpected error" not in server.log


@once("is about the files of SQLite")
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", ".secret"])
def test_only_the_owner_can_read_the_files_of_the_ledger(server: Server, suffix: str):
    mode = Path(f"{server.database}{suffix}").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
