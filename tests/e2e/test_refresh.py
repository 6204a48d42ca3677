"""`POST /token` with a refresh token: the table of ADR 0007 over HTTP."""

import asyncio
import base64
from itertools import combinations
from typing import Any

import anyio
import pytest

from support.oauth import LongAgo, Person, basic, error_of
from support.server import Server

DEAD = (400, "invalid_grant")
REUSED = ("token_grant.refresh_token_reused.v1", "token_grant.revoked.v1")


def pair(tokens: dict[str, Any]) -> tuple[str, str]:
    return tokens["access_token"], tokens["refresh_token"]


# The current refresh token


async def test_a_refresh_token_is_traded_for_the_next_pair(ada: Person, client: str):
    first = await ada.tokens(client, scope="openid email")
    answer = await ada.refresh(client, first["refresh_token"])
    second = answer.json()
    assert answer.status_code == 200
    assert not set(pair(first)) & set(pair(second))
    assert set(second) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (second["token_type"], second["expires_in"], second["scope"]) == ("Bearer", 3600, "openid email")


async def test_refreshed_tokens_may_not_be_stored_on_the_way(ada: Person, client: str):
    answer = await ada.refresh(client, (await ada.tokens(client))["refresh_token"])
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


async def test_old_and_new_access_token_work_side_by_side(ada: Person, client: str):
    first = await ada.tokens(client)
    second = (await ada.refresh(client, first["refresh_token"])).json()
    for tokens in (first, second):
        assert (await ada.session(tokens["access_token"])).status_code == 200


async def test_a_refresh_is_one_event(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    before = server.events()
    await ada.refresh(client, tokens["refresh_token"])
    assert server.events() == before + 1


async def test_the_resource_may_be_left_out_or_said_again(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    for form in ({}, {"resource": f"{server.origin}/mcp"}):
        tokens = (await ada.refresh(client, tokens["refresh_token"], **form)).json()
        assert (await ada.session(tokens["access_token"])).json()["resource"] == f"{server.origin}/mcp"


# Many at once, and again


async def test_of_twenty_at_once_all_get_the_same_pair(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    before = server.events()
    answers = await asyncio.gather(*(ada.refresh(client, tokens["refresh_token"]) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len({pair(answer.json()) for answer in answers}) == 1
    assert server.events() == before + 1


async def test_a_retry_gets_the_pair_that_the_first_attempt_got(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    first = (await ada.refresh(client, tokens["refresh_token"])).json()
    before = server.written()
    retried = (await ada.refresh(client, tokens["refresh_token"])).json()
    assert pair(retried) == pair(first)
    assert server.written() == before


async def test_a_retry_gets_the_newest_pair_and_not_its_own_successor(ada: Person, client: str):
    tokens = await ada.tokens(client)
    second = (await ada.refresh(client, tokens["refresh_token"])).json()
    third = (await ada.refresh(client, second["refresh_token"])).json()
    retried = (await ada.refresh(client, tokens["refresh_token"])).json()
    assert pair(retried) == pair(third)


async def test_a_retry_is_told_what_remains_of_the_access_tokens_life(ada: Person, client: str):
    tokens = await ada.tokens(client)
    await ada.refresh(client, tokens["refresh_token"])
    await anyio.sleep(1.05)
    retried = (await ada.refresh(client, tokens["refresh_token"])).json()
    assert retried["expires_in"] < 3600


SOMETHING_ELSE = {
    "less": {"scope": "openid"},
    "a scope that was not granted": {"scope": "profile"},
    "an unknown scope": {"scope": "unknown"},
    "another resource": {"resource": "https://evil.example/mcp"},
}


@pytest.mark.parametrize("form", SOMETHING_ELSE.values(), ids=SOMETHING_ELSE)
async def test_a_retry_that_asks_for_something_else_is_refused_and_revokes_nothing(
    server: Server, ada: Person, client: str, form: dict[str, str]
):
    """Seen to catch: a retry for another scope gets the current pair."""
    tokens = await ada.tokens(client, scope="openid email")
    await ada.refresh(client, tokens["refresh_token"])
    before = server.written()
    assert error_of(await ada.refresh(client, tokens["refresh_token"], **form)) == DEAD
    assert server.written() == before


@pytest.mark.parametrize("form", SOMETHING_ELSE.values(), ids=SOMETHING_ELSE)
async def test_a_dead_grant_is_told_before_what_else_is_wrong(ada: Person, client: str, form: dict[str, str]):
    tokens = await ada.tokens(client, scope="openid email")
    await ada.revoke(client, tokens["refresh_token"])
    assert error_of(await ada.refresh(client, tokens["refresh_token"], **form)) == DEAD


# A refresh token that comes back too late


async def test_without_a_window_the_second_use_is_refused_and_remembered(
    two_resources: Server, member: Person
):
    """Seen to catch: only a token whose successor was used counts as reused."""
    client = (await member.register())["client_id"]
    tokens = await member.tokens(client)
    await member.refresh(client, tokens["refresh_token"])
    before = [two_resources.events(tag) for tag in REUSED]
    assert error_of(await member.refresh(client, tokens["refresh_token"])) == DEAD
    assert [two_resources.events(tag) for tag in REUSED] == [count + 1 for count in before]


async def test_reuse_revokes_the_grant_with_all_its_tokens(member: Person):
    """Seen to catch: reuse leaves the grant as it was."""
    client = (await member.register())["client_id"]
    first = await member.tokens(client)
    second = (await member.refresh(client, first["refresh_token"])).json()
    await member.refresh(client, first["refresh_token"])
    assert error_of(await member.refresh(client, second["refresh_token"])) == DEAD
    for tokens in (first, second):
        assert (await member.session(tokens["access_token"])).status_code == 401


@pytest.mark.parametrize("form", SOMETHING_ELSE.values(), ids=SOMETHING_ELSE)
async def test_reuse_is_reuse_whatever_it_asks_for(
    two_resources: Server, member: Person, form: dict[str, str]
):
    client = (await member.register())["client_id"]
    tokens = await member.tokens(client, scope="openid email")
    await member.refresh(client, tokens["refresh_token"])
    before = two_resources.events(*REUSED)
    assert error_of(await member.refresh(client, tokens["refresh_token"], **form)) == DEAD
    assert two_resources.events(*REUSED) == before + 2


async def test_reuse_revokes_no_other_grant_of_the_same_user_and_client(member: Person):
    """Seen to catch: reuse disables the user."""
    client = (await member.register())["client_id"]
    other, tokens = await member.tokens(client), await member.tokens(client)
    for _ in range(2):
        await member.refresh(client, tokens["refresh_token"])
    assert (await member.refresh(client, other["refresh_token"])).status_code == 200


async def test_reuse_by_another_client_revokes_nothing(member: Person):
    client, other = [(await member.register())["client_id"] for _ in range(2)]
    first = await member.tokens(client)
    second = (await member.refresh(client, first["refresh_token"])).json()
    assert error_of(await member.refresh(other, first["refresh_token"])) == DEAD
    assert (await member.refresh(client, second["refresh_token"])).status_code == 200


async def test_reuse_without_the_clients_secret_revokes_nothing(member: Person):
    client = await member.register(token_endpoint_auth_method="client_secret_basic")
    client_id, proof = client["client_id"], basic(client["client_id"], client["client_secret"])
    form = {"grant_type": "refresh_token"}
    code = await member.code(client_id)
    first = (await member.redeem(client_id, code, client_secret=client["client_secret"])).json()
    form["refresh_token"] = first["refresh_token"]
    second = (await member.http.post("/token", data=form, headers=proof)).json()
    assert error_of(await member.refresh(client_id, first["refresh_token"])) == (401, "invalid_client")
    form["refresh_token"] = second["refresh_token"]
    assert (await member.http.post("/token", data=form, headers=proof)).status_code == 200


async def test_without_a_window_one_of_twenty_at_once_is_answered(two_resources: Server, member: Person):
    client = (await member.register())["client_id"]
    tokens = await member.tokens(client)
    before = two_resources.events("token_grant.refreshed.v1")
    answers = await asyncio.gather(*(member.refresh(client, tokens["refresh_token"]) for _ in range(20)))
    refused = [error_of(answer) for answer in answers if answer.status_code != 200]
    assert refused == [DEAD] * 19
    assert two_resources.events("token_grant.refreshed.v1") == before + 1


async def test_after_the_window_the_second_use_is_refused(long_ago: LongAgo):
    assert long_ago.first_use.status_code == 200
    assert error_of(long_ago.used_again) == DEAD


async def test_a_refresh_token_is_refused_after_its_time(long_ago: LongAgo):
    """Seen to catch: a refresh token never expires."""
    assert error_of(long_ago.never_used) == DEAD


async def test_the_life_of_a_refresh_token_slides_with_use(long_ago: LongAgo):
    assert long_ago.used_in_time.status_code == 200


async def test_no_token_outlives_the_absolute_limit_of_its_grant(long_ago: LongAgo):
    """Seen to catch: a grant has no absolute limit."""
    # Of the grant's six seconds two remain at most, which is less than the three of an access token.
    assert long_ago.used_in_time.json()["expires_in"] <= 2


# Less than was granted, and never more


async def test_scopes_can_be_narrowed(ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid email profile")
    narrowed = (await ada.refresh(client, tokens["refresh_token"], scope="profile openid")).json()
    assert set(narrowed["scope"].split()) == {"openid", "profile"}
    assert (await ada.session(narrowed["access_token"])).json()["scope"] == narrowed["scope"]


async def test_narrowing_does_not_narrow_the_grant(ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid email")
    narrowed = (await ada.refresh(client, tokens["refresh_token"], scope="openid")).json()
    whole = (await ada.refresh(client, narrowed["refresh_token"])).json()
    assert whole["scope"] == "openid email"


async def test_a_narrowed_token_stays_narrow(ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid email")
    narrowed = (await ada.refresh(client, tokens["refresh_token"], scope="openid")).json()
    await ada.refresh(client, narrowed["refresh_token"])
    assert (await ada.session(narrowed["access_token"])).json()["scope"] == "openid"


@pytest.mark.parametrize("scope", ["email", "openid email", "unknown"])
async def test_scopes_that_were_not_granted_are_refused_and_nothing_is_consumed(
    server: Server, ada: Person, client: str, scope: str
):
    tokens = await ada.tokens(client, scope="openid")
    before = server.written()
    answer = await ada.refresh(client, tokens["refresh_token"], scope=scope)
    assert error_of(answer) == (400, "invalid_scope")
    assert server.written() == before


async def test_a_grant_is_narrowed_in_sixteen_ways_at_most(member: Person):
    client = (await member.register())["client_id"]
    scopes = ["openid", "profile", "email", "offline_access", "mail:read"]
    tokens = await member.tokens(client, scope=" ".join(scopes))
    ways = [" ".join(some) for size in range(1, 5) for some in combinations(scopes, size)]
    for scope in ways[:15]:
        tokens = (await member.refresh(client, tokens["refresh_token"], scope=scope)).json()
    refused = await member.refresh(client, tokens["refresh_token"], scope=ways[15])
    assert error_of(refused) == (400, "invalid_scope")
    assert (await member.refresh(client, tokens["refresh_token"], scope=ways[0])).status_code == 200


async def test_unknown_scopes_drop_out(ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid email")
    refreshed = (await ada.refresh(client, tokens["refresh_token"], scope=" openid  unknown ")).json()
    assert refreshed["scope"] == "openid"


async def test_a_resource_of_this_server_that_was_not_granted_is_refused_and_nothing_is_consumed(
    two_resources: Server, member: Person
):
    client = (await member.register())["client_id"]
    tokens = await member.tokens(client, resource="https://mcp.example")
    before = two_resources.written()
    other = f"{two_resources.origin}/notes/mcp"
    refused = await member.refresh(client, tokens["refresh_token"], resource=other)
    assert error_of(refused) == (400, "invalid_target")
    assert two_resources.written() == before


async def test_a_resource_that_is_another_the_second_time_is_refused(two_resources: Server, member: Person):
    client = (await member.register())["client_id"]
    tokens = await member.tokens(client, resource="https://mcp.example")
    form = {
        "grant_type": "refresh_token",
        "client_id": client,
        "refresh_token": tokens["refresh_token"],
        "resource": ["https://mcp.example", f"{two_resources.origin}/notes/mcp"],
    }
    assert error_of(await member.http.post("/token", data=form)) == (400, "invalid_target")


# What is no refresh token of this client


async def test_the_refresh_token_of_another_client_is_refused_and_not_consumed(
    server: Server, ada: Person, client: str
):
    other = (await ada.register())["client_id"]
    tokens = await ada.tokens(client)
    before = server.written()
    assert error_of(await ada.refresh(other, tokens["refresh_token"])) == DEAD
    assert server.written() == before


async def test_an_access_token_is_no_refresh_token(ada: Person, client: str):
    tokens = await ada.tokens(client)
    assert error_of(await ada.refresh(client, tokens["access_token"])) == DEAD


async def test_an_access_token_does_not_become_one_by_its_prefix(ada: Person, client: str):
    tokens = await ada.tokens(client)
    forged = "glrt_" + tokens["access_token"].removeprefix("glat_")
    assert error_of(await ada.refresh(client, forged)) == DEAD


GARBAGE = [
    "x",
    "glrt_",
    "glrt_" + "A" * 72,
    "glrt_" + "A" * 71,
    "glrt_" + "!" * 72,
    "\0",
    "\u00e9",
    "x" * 8000,
]


@pytest.mark.parametrize("token", GARBAGE, ids=lambda token: ascii(token)[:16])
async def test_what_is_no_token_is_a_dead_refresh_token(ada: Person, client: str, token: str):
    """Seen to catch: a dead refresh token is invalid_request."""
    assert error_of(await ada.refresh(client, token)) == DEAD


async def test_a_token_with_any_bit_changed_is_none(ada: Person, client: str):
    tokens = await ada.tokens(client)
    raw = base64.urlsafe_b64decode(tokens["refresh_token"].removeprefix("glrt_"))
    forged = [raw[:n] + bytes([raw[n] ^ 1]) + raw[n + 1 :] for n in range(len(raw))]
    texts = ["glrt_" + base64.urlsafe_b64encode(one).decode() for one in forged]
    answers = await asyncio.gather(*(ada.refresh(client, text) for text in texts))
    assert {error_of(answer) for answer in answers} == {DEAD}
    assert (await ada.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_a_refresh_without_a_token_is_invalid(ada: Person, client: str):
    answer = await ada.token(grant_type="refresh_token", client_id=client)
    assert error_of(answer) == (400, "invalid_request")


async def test_an_unknown_client_is_401_so_that_it_registers_again(ada: Person, client: str):
    """Seen to catch: an unknown client is 400."""
    tokens = await ada.tokens(client)
    assert error_of(await ada.refresh("glc_unknown", tokens["refresh_token"])) == (401, "invalid_client")


@pytest.mark.parametrize("secret", ["", "wrong"])
async def test_a_confidential_client_proves_itself_and_a_refused_attempt_consumes_nothing(
    server: Server, ada: Person, secret: str
):
    client = await ada.register(token_endpoint_auth_method="client_secret_post")
    client_id, right = client["client_id"], client["client_secret"]
    tokens = (await ada.redeem(client_id, await ada.code(client_id), client_secret=right)).json()
    before = server.written()
    refused = await ada.refresh(client_id, tokens["refresh_token"], client_secret=secret)
    assert error_of(refused) == (401, "invalid_client")
    assert server.written() == before
