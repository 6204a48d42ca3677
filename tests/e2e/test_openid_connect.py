"""OpenID Connect with a real client: Authlib finds the server by discovery and verifies its tokens."""

import base64
import time
from typing import Any

import httpx2
import pytest
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped]
from joserfc import jws
from joserfc.errors import BadSignatureError, InvalidClaimError

from support.oauth import REDIRECT_URI, VERIFIER, Person, error_of, returned
from support.server import EMAIL, Server

NONCE = "n-0S6_WzA2Mj"


class RelyingParty:
    """An application that signs its users in at our server, with Authlib."""

    def __init__(self, server: Server, client_id: str) -> None:
        self.client = OAuth().register(
            "grantledger",
            client_id=client_id,
            server_metadata_url=f"{server.origin}/.well-known/openid-configuration",
            client_kwargs={"verify": False, "token_endpoint_auth_method": "none"},
        )

    async def signed_in(self, code: str) -> dict[str, Any]:
        return dict(
            await self.client.fetch_access_token(code=code, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER)
        )

    async def verified(self, tokens: dict[str, Any], *, nonce: str | None = NONCE) -> dict[str, Any]:
        return dict(await self.client.parse_id_token(tokens, nonce=nonce))


@pytest.fixture
def party(server: Server, client: str) -> RelyingParty:
    return RelyingParty(server, client)


@pytest.fixture
async def tokens(party: RelyingParty, ada: Person, client: str) -> dict[str, Any]:
    return await party.signed_in(await ada.code(client, scope="openid email", nonce=NONCE))


async def test_authlib_verifies_the_id_token_by_discovery_and_jwks(
    server: Server, party: RelyingParty, client: str, tokens: dict[str, Any]
):
    claims = await party.verified(tokens)
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "at_hash", "auth_time", "nonce"} | {
        "email",
        "email_verified",
    }
    assert (claims["email"], claims["email_verified"]) == (EMAIL, False)
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (server.origin, client, NONCE)
    assert claims["sub"].startswith("glu_")


async def test_the_times_of_an_id_token_are_whole_seconds(party: RelyingParty, tokens: dict[str, Any]):
    claims = await party.verified(tokens)
    times = (claims["auth_time"], claims["iat"], claims["exp"])
    assert {type(moment) for moment in times} == {int}
    assert claims["auth_time"] <= claims["iat"] <= time.time() < claims["exp"]
    assert claims["exp"] - claims["iat"] == 3_600


async def test_authlib_refuses_an_id_token_with_another_nonce(party: RelyingParty, tokens: dict[str, Any]):
    with pytest.raises(InvalidClaimError, match="nonce"):
        await party.verified(tokens, nonce="another")


async def test_authlib_refuses_an_id_token_with_another_access_token(
    party: RelyingParty, tokens: dict[str, Any]
):
    with pytest.raises(InvalidClaimError, match="at_hash"):
        await party.verified({**tokens, "access_token": "glat_another"})


async def test_authlib_refuses_an_id_token_whose_claim_was_changed(
    party: RelyingParty, tokens: dict[str, Any]
):
    head, _, signature = tokens["id_token"].split(".")
    payload = jws.extract_compact(tokens["id_token"].encode()).payload.replace(b"glu_", b"glx_")
    forged = ".".join((head, base64.urlsafe_b64encode(payload).rstrip(b"=").decode(), signature))
    with pytest.raises(BadSignatureError):
        await party.verified({**tokens, "id_token": forged})


async def test_authlib_reads_userinfo_of_the_same_subject(party: RelyingParty, tokens: dict[str, Any]):
    claims = await party.client.userinfo(token=tokens)
    assert dict(claims) == {
        "sub": (await party.verified(tokens))["sub"],
        "email": EMAIL,
        "email_verified": False,
    }


async def test_without_the_scope_email_an_id_token_holds_no_address(
    party: RelyingParty, ada: Person, client: str
):
    tokens = await party.signed_in(await ada.code(client, scope="openid", nonce=NONCE))
    assert EMAIL.encode() not in jws.extract_compact(tokens["id_token"].encode()).payload


async def test_without_openid_there_is_no_id_token(member: Person):
    client = str((await member.register())["client_id"])
    tokens = await member.tokens(client, scope="mail:read", resource="https://mcp.example", nonce=NONCE)
    assert "id_token" not in tokens


async def test_a_refresh_brings_no_id_token(ada: Person, client: str, tokens: dict[str, Any]):
    refreshed = (await ada.refresh(client, tokens["refresh_token"])).json()
    assert "access_token" in refreshed
    assert "id_token" not in refreshed


# UserInfo


async def userinfo(person: Person, token: str | None, *, post: bool = False, **form: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if post:
        return await person.http.post("/userinfo", headers=headers, data=form)
    return await person.http.get("/userinfo", headers=headers, params=form)


async def test_userinfo_answers_get_and_post_alike(person: Person, tokens: dict[str, Any]):
    token = tokens["access_token"]
    asked = [
        await userinfo(person, token),
        await userinfo(person, token, post=True),
        await userinfo(person, None, post=True, access_token=token),
    ]
    assert [answer.status_code for answer in asked] == [200, 200, 200]
    assert len({answer.content for answer in asked}) == 1
    assert {answer.headers["cache-control"] for answer in asked} == {"no-store"}


async def test_a_token_in_the_url_is_not_read(person: Person, tokens: dict[str, Any]):
    answer = await userinfo(person, None, access_token=tokens["access_token"])
    assert answer.status_code == 401


async def test_a_token_in_header_and_body_is_refused(person: Person, tokens: dict[str, Any]):
    token = tokens["access_token"]
    answer = await userinfo(person, token, post=True, access_token=token)
    assert error_of(answer) == (400, "invalid_request")


async def test_without_a_token_the_challenge_names_no_error(person: Person):
    answer = await userinfo(person, None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_userinfo_refuses_an_unknown_token(person: Person):
    answer = await userinfo(person, "glat_guessed")
    assert error_of(answer) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_without_openid_the_scope_is_insufficient(ada: Person, client: str):
    tokens = await ada.tokens(client, scope="email")
    answer = await userinfo(ada, tokens["access_token"])
    assert error_of(answer) == (403, "insufficient_scope")
    assert 'scope="openid"' in answer.headers["www-authenticate"]


async def test_a_revoked_token_is_refused_at_userinfo(ada: Person, client: str, tokens: dict[str, Any]):
    await ada.revoke(client, tokens["access_token"])
    assert error_of(await userinfo(ada, tokens["access_token"])) == (401, "invalid_token")


async def test_scripts_of_any_origin_may_ask_userinfo(person: Person):
    asks = {"origin": "https://client.example", "access-control-request-headers": "authorization"}
    answer = await person.http.options("/userinfo", headers=asks)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization"


# max_age


async def test_max_age_does_not_ask_a_user_who_has_just_signed_in(public: Server):
    person = Person.at(public.origin)
    async with person.http:
        client = str((await person.register())["client_id"])
        consent = await person.sign_in(await person.asked(client, max_age="600"))
        assert "/consent" in consent.text
        assert "/consent" in (await person.asked(client, max_age="600")).text


async def test_max_age_0_asks_for_the_password_again_once(person: Person):
    client = str((await person.register())["client_id"])
    await person.sign_in(await person.asked(client))
    again = await person.asked(client, max_age="0")
    assert "/sign-in" in again.text
    assert "/consent" in (await person.sign_in(again)).text


@pytest.mark.full
async def test_a_sign_in_older_than_max_age_is_repeated_and_changes_auth_time(person: Person):
    client = str((await person.register())["client_id"])
    await person.tokens(client, scope="openid")
    time.sleep(2.1)
    without_page = returned(await person.authorize(client, max_age="1", prompt="none"))
    assert without_page["error"] == "login_required"
    before = int(time.time())
    tokens = await person.tokens(client, scope="openid", max_age="1", prompt="consent")
    claims = jws.extract_compact(tokens["id_token"].encode()).payload
    assert int(claims.split(b'"auth_time":')[1].split(b",")[0].rstrip(b"}")) >= before


@pytest.mark.parametrize("wrong", [{"max_age": "soon"}, {"max_age": "-1"}, {"nonce": "n" * 513}])
async def test_an_unusable_nonce_or_max_age_is_refused(ada: Person, client: str, wrong: Any):
    assert returned(await ada.authorize(client, **wrong))["error"] == "invalid_request"
