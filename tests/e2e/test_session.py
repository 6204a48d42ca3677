"""`GET /session`, and `get_mcp_session` in-process: the session of a token, and what is refused."""

import re
from typing import Any

import httpx2
import pytest

from grantledger.adapters.guards.session import session_of
from support.oauth import LongAgo, Person, error_of
from support.server import Server

REFUSED = (401, "invalid_token")


def challenge_of(answer: httpx2.Response) -> dict[str, str]:
    """Read the one challenge of the answer as clients do, with a regular expression."""
    (header,) = answer.headers.get_list("www-authenticate")
    scheme, _, rest = header.partition(" ")
    assert scheme == "Bearer"
    pairs = re.findall(r'([a-z_]+)="([^"\\]*)"(?:, |$)', rest)
    assert ", ".join(f'{name}="{value}"' for name, value in pairs) == rest
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


async def test_an_access_token_is_needed(server: Server, person: Person):
    answer = await person.http.get("/session")
    assert error_of(answer) == REFUSED
    metadata = f"{server.origin}/.well-known/oauth-protected-resource/mcp"
    assert challenge_of(answer) == {"resource_metadata": metadata}


async def test_a_refused_token_is_challenged_with_its_error_first(server: Server, person: Person):
    answer = await person.session("glat_unknown")
    assert error_of(answer) == REFUSED
    assert list(challenge_of(answer)) == ["error", "error_description", "resource_metadata"]
    assert challenge_of(answer)["error"] == "invalid_token"


async def test_the_challenge_leads_to_metadata_that_is_there(server: Server, person: Person):
    metadata = await person.http.get(challenge_of(await person.http.get("/session"))["resource_metadata"])
    assert metadata.json()["authorization_servers"] == [server.origin]


async def test_session_responses_may_not_be_cached(ada: Person, client: str):
    answer = await ada.session((await ada.tokens(client))["access_token"])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Bearer  "])
@pytest.mark.parametrize("endpoint", ["/session", "/userinfo"])
async def test_the_scheme_is_found_in_any_case_and_with_two_spaces(
    ada: Person, client: str, endpoint: str, scheme: str
):
    tokens = await ada.tokens(client)
    headers = {"authorization": f"{scheme}{tokens['access_token']}"}
    assert (await ada.http.get(endpoint, headers=headers)).status_code == 200


@pytest.mark.parametrize("header", ["", "Basic eDp5", "glat_unknown", "DPoP x", "Bearer"])
async def test_answers_another_scheme_or_no_token_with_the_bearer_challenge(person: Person, header: str):
    answer = await person.http.get("/session", headers={"authorization": header})
    assert answer.status_code == 401
    assert "error" not in challenge_of(answer)


@pytest.mark.parametrize("header", ["Bearer a b", "Bearer a, Bearer b"])
async def test_a_header_that_is_no_bearer_token_is_400_with_a_challenge(person: Person, header: str):
    answer = await person.http.get("/session", headers={"authorization": header})
    assert error_of(answer) == (400, "invalid_request")
    assert challenge_of(answer)["error"] == "invalid_request"


async def test_two_authorization_headers_are_refused(ada: Person, client: str):
    tokens = await ada.tokens(client)
    header = ("authorization", f"Bearer {tokens['access_token']}")
    answer = await ada.http.get("/session", headers=[header, header])
    assert error_of(answer) == (400, "invalid_request")


GARBAGE = ["glat_" + "A" * 72, "\u00e9", "x" * 8000]


@pytest.mark.parametrize("token", GARBAGE, ids=lambda token: ascii(token)[:16])
async def test_a_malformed_token_is_refused(person: Person, token: str):
    headers = {b"authorization": b"Bearer " + token.encode("latin-1")}
    assert error_of(await person.http.get("/session", headers=headers)) == REFUSED


@pytest.mark.full
async def test_an_access_token_is_refused_after_its_expiry(long_ago: LongAgo):
    assert error_of(long_ago.access_token) == REFUSED


@pytest.mark.parametrize(
    "spelling", ["https://mcp.example", "https://mcp.example/", "HTTPS://MCP.example:443"]
)
async def test_a_token_is_accepted_for_its_resource(member: Person, spelling: str):
    tokens = await member.tokens((await member.register())["client_id"])
    assert (await member.session(tokens["access_token"], resource=spelling)).status_code == 200


async def test_a_token_for_another_resource_is_refused(two_resources: Server, member: Person):
    tokens = await member.tokens((await member.register())["client_id"])
    answer = await member.session(tokens["access_token"], resource=f"{two_resources.origin}/notes/mcp")
    assert error_of(answer) == REFUSED


async def test_only_one_resource_can_be_named(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    both = {"resource": [f"{server.origin}/mcp", "https://evil.example/mcp"]}
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    answer = await ada.http.get("/session", params=both, headers=headers)
    assert error_of(answer) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["resource=%ff", "&".join(f"p{n}=1" for n in range(65))])
async def test_a_query_that_cannot_be_read_is_refused(ada: Person, client: str, query: str):
    tokens = await ada.tokens(client)
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    answer = await ada.http.get(f"/session?{query}", headers=headers)
    assert error_of(answer) == (400, "invalid_request")


async def test_all_refused_tokens_get_the_same_answer(ada: Person, client: str):
    tokens = await ada.tokens(client)
    foreign = await ada.session(tokens["access_token"], resource="https://evil.example/mcp")
    await ada.revoke(client, tokens["refresh_token"])
    revoked, unknown = await ada.session(tokens["access_token"]), await ada.session("glat_unknown")
    assert foreign.content == revoked.content == unknown.content
    assert len({answer.headers["www-authenticate"] for answer in (foreign, revoked, unknown)}) == 1


async def test_a_token_is_read_from_the_header_only(ada: Person, client: str):
    token = (await ada.tokens(client))["access_token"]
    answer = await ada.http.get("/session", params={"access_token": token, "token": token})
    assert error_of(answer) == REFUSED


async def test_cookies_are_never_read(ada: Person, client: str):
    token = (await ada.tokens(client))["access_token"]
    for value in (ada.session_cookie(), token):
        headers = {"cookie": f"grantledger-session={value}; access_token={value}"}
        assert error_of(await ada.http.get("/session", headers=headers)) == REFUSED


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_another_method_is_405_and_not_401(person: Person, method: str):
    answer = await person.http.request(method, "/session")
    assert error_of(answer) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_head_is_checked_like_get(person: Person):
    assert (await person.http.head("/session")).status_code == 401


async def test_looking_up_a_session_writes_nothing(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    before = server.recorded()
    await ada.session(tokens["access_token"])
    assert server.recorded() == before


# In-process


async def test_in_process_a_session_is_found_by_the_headers(server: Server, ada: Person, client: str):
    token = (await ada.tokens(client, scope="openid email"))["access_token"]
    async with server.use_cases() as container:
        session = await session_of(
            {"Authorization": f"Bearer {token}"},
            container.use_cases().look_up_session,
            resource=f"{server.origin}/mcp",
        )
    assert session is not None
    assert (session.client_id, session.scopes) == (client, ("openid", "email"))
    assert session.resource == f"{server.origin}/mcp"


NO_SESSION: dict[str, Any] = {
    "no header": {},
    "a cookie": {"cookie": "grantledger-session={token}"},
    "another scheme": {"authorization": "Basic {token}"},
    "two tokens": {"authorization": "Bearer {token} {token}"},
    "no token": {"authorization": "Bearer "},
    "an unknown token": {"authorization": "Bearer glat_unknown"},
}


@pytest.mark.parametrize("headers", NO_SESSION.values(), ids=NO_SESSION)
async def test_in_process_a_request_without_a_good_token_has_no_session(
    server: Server, ada: Person, client: str, headers: dict[str, str]
):
    token = (await ada.tokens(client))["access_token"]
    given = {name: value.format(token=token) for name, value in headers.items()}
    async with server.use_cases() as container:
        verify = container.use_cases().look_up_session
        assert await session_of(given, verify, resource=f"{server.origin}/mcp") is None


async def test_in_process_a_token_for_another_resource_has_no_session(
    server: Server, ada: Person, client: str
):
    headers = {"authorization": f"Bearer {(await ada.tokens(client))['access_token']}"}
    async with server.use_cases() as container:
        verify = container.use_cases().look_up_session
        assert await session_of(headers, verify, resource="https://evil.example/mcp") is None
        assert await session_of(headers, verify, resource=f"{server.origin}/mcp") is not None
