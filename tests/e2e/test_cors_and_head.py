"""What scripts of other origins may do, and how HEAD is answered."""

from typing import Any

import httpx2
import pytest

from support.oauth import REDIRECT_URI, Person
from support.stores import once

pytestmark = once("is answered before the store is asked")

METADATA = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-unknown",
]
SHARED = [*METADATA, "/register", "/token", "/revoke", "/introspect", "/session"]
EXPOSED = "WWW-Authenticate, Mcp-Session-Id, Retry-After, X-Request-Id"
ORIGIN = {"origin": "http://localhost:6274"}


def cors(answer: httpx2.Response) -> dict[str, str]:
    names = [name for name in answer.headers if name.startswith("access-control-")]
    assert all(len(answer.headers.get_list(name)) == 1 for name in names)
    return {name.removeprefix("access-control-"): answer.headers[name] for name in names}


@pytest.mark.parametrize("path", SHARED)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_scripts_of_any_origin_may_read_every_answer(person: Person, path: str, method: str):
    answer = await person.http.request(method, path, headers=ORIGIN)
    assert cors(answer) == {"allow-origin": "*", "expose-headers": EXPOSED}


@pytest.mark.parametrize("path", SHARED)
async def test_a_preflight_allows_what_it_asks_for_without_credentials(person: Person, path: str):
    wanted = "authorization, content-type, mcp-protocol-version, mcp-param-anything, dpop"
    asked = {**ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": wanted}
    answer = await person.http.options(path, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Access-Control-Request-Headers" in answer.headers["vary"]
    allowed = cors(answer)
    assert (allowed["allow-origin"], allowed["allow-headers"]) == ("*", wanted)
    assert {"GET", "HEAD", "POST", "OPTIONS"} <= set(allowed["allow-methods"].split(", "))
    assert "allow-credentials" not in allowed


async def test_a_script_can_walk_the_flow_where_no_page_is_needed(ada: Person, client: str):
    tokens = await ada.tokens(client)
    form = {"grant_type": "refresh_token", "client_id": client, "refresh_token": tokens["refresh_token"]}
    answer = await ada.http.post("/token", data=form, headers=ORIGIN)
    assert answer.status_code == 200
    assert cors(answer)["allow-origin"] == "*"


PREFLIGHTS: list[dict[str, Any]] = [{}, {"access-control-request-method": "GET"}]


@pytest.mark.parametrize("asked", PREFLIGHTS, ids=["plain", "preflight"])
async def test_authorize_sends_no_cors_headers(person: Person, asked: dict[str, str]):
    answer = await person.http.options("/authorize", headers={**ORIGIN, **asked})
    assert cors(answer) == {}


# HEAD


async def heads_like_get(http: httpx2.AsyncClient, path: str, **headers: str) -> None:
    get, head = await http.get(path, headers=headers), await http.head(path, headers=headers)
    assert head.status_code == get.status_code
    assert head.content == b""
    # Some responses have an id of their own, so only the names of the headers are compared.
    assert set(head.headers) == set(get.headers)
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("path", [*METADATA, "/session", "/token", "/authorize", "/authorize/x", "/"])
async def test_head_is_answered_like_get(person: Person, path: str):
    await heads_like_get(person.http, path)


async def test_head_is_answered_like_get_with_a_token(ada: Person, client: str):
    token = (await ada.tokens(client))["access_token"]
    await heads_like_get(ada.http, "/session", authorization=f"Bearer {token}")


async def test_head_is_answered_like_get_for_a_known_client(person: Person):
    client = await person.register()
    path = f"/authorize?client_id={client['client_id']}&response_type=code"
    await heads_like_get(person.http, path)
    assert (await person.http.head(path)).headers["location"].startswith(f"{REDIRECT_URI}?error=")


async def test_head_has_the_content_length_of_get(person: Person):
    head = await person.http.head(METADATA[0])
    assert int(head.headers["content-length"]) == len((await person.http.get(METADATA[0])).content)
