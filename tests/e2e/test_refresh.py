"""`POST /token` with a refresh token: the table of ADR 0007 over HTTP."""

import asyncio
from typing import Any

import pytest

from support.oauth import LongAgo, Person, error_of
from support.server import Server

DEAD = (400, "invalid_grant")
REUSED = ("token_grant.refresh_token_reused.v1", "token_grant.revoked.v1")


def pair(tokens: dict[str, Any]) -> tuple[str, str]:
    return tokens["access_token"], tokens["refresh_token"]


# The current refresh token


async def test_a_refresh_token_is_exchanged_for_the_next_tokens(ada: Person, client: str):
    first = await ada.tokens(client, scope="openid email")
    answer = await ada.refresh(client, first["refresh_token"])
    second = answer.json()
    assert answer.status_code == 200
    assert not set(pair(first)) & set(pair(second))
    assert set(second) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (second["token_type"], second["expires_in"], second["scope"]) == ("Bearer", 3600, "openid email")


async def test_refresh_responses_may_not_be_cached(ada: Person, client: str):
    answer = await ada.refresh(client, (await ada.tokens(client))["refresh_token"])
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


async def test_the_resource_may_be_omitted_or_repeated(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    for form in ({}, {"resource": f"{server.origin}/mcp"}):
        tokens = (await ada.refresh(client, tokens["refresh_token"], **form)).json()
        assert (await ada.session(tokens["access_token"])).json()["resource"] == f"{server.origin}/mcp"


# Parallel refreshes, and retries


async def test_twenty_refreshes_at_once_get_the_same_tokens(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    before = server.events()
    answers = await asyncio.gather(*(ada.refresh(client, tokens["refresh_token"]) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len({pair(answer.json()) for answer in answers}) == 1
    assert server.events() == before + 1


async def test_a_retry_gets_the_tokens_that_the_first_attempt_got(server: Server, ada: Person, client: str):
    tokens = await ada.tokens(client)
    first = (await ada.refresh(client, tokens["refresh_token"])).json()
    before = server.recorded()
    retried = (await ada.refresh(client, tokens["refresh_token"])).json()
    assert pair(retried) == pair(first)
    assert server.recorded() == before


# A refresh token that is used again too late


async def test_without_a_window_the_second_use_is_refused_and_recorded(two_resources: Server, member: Person):
    client = (await member.register())["client_id"]
    tokens = await member.tokens(client)
    await member.refresh(client, tokens["refresh_token"])
    before = [two_resources.events(tag) for tag in REUSED]
    assert error_of(await member.refresh(client, tokens["refresh_token"])) == DEAD
    assert [two_resources.events(tag) for tag in REUSED] == [count + 1 for count in before]


async def test_reuse_revokes_the_grant_with_all_its_tokens(member: Person):
    client = (await member.register())["client_id"]
    first = await member.tokens(client)
    second = (await member.refresh(client, first["refresh_token"])).json()
    await member.refresh(client, first["refresh_token"])
    assert error_of(await member.refresh(client, second["refresh_token"])) == DEAD
    for tokens in (first, second):
        assert (await member.session(tokens["access_token"])).status_code == 401


async def test_without_a_window_one_of_twenty_parallel_refreshes_succeeds(
    two_resources: Server, member: Person
):
    client = (await member.register())["client_id"]
    tokens = await member.tokens(client)
    before = two_resources.events("token_grant.refreshed.v1")
    answers = await asyncio.gather(*(member.refresh(client, tokens["refresh_token"]) for _ in range(20)))
    refused = [error_of(answer) for answer in answers if answer.status_code != 200]
    assert refused == [DEAD] * 19
    assert two_resources.events("token_grant.refreshed.v1") == before + 1


@pytest.mark.full
async def test_after_the_window_the_second_use_is_refused(long_ago: LongAgo):
    assert long_ago.first_use.status_code == 200
    assert error_of(long_ago.used_again) == DEAD


@pytest.mark.full
async def test_a_refresh_token_is_refused_after_its_expiry(long_ago: LongAgo):
    assert error_of(long_ago.never_used) == DEAD


@pytest.mark.full
async def test_the_life_of_a_refresh_token_slides_with_use(long_ago: LongAgo):
    assert long_ago.used_in_time.status_code == 200


@pytest.mark.full
async def test_no_token_outlives_the_absolute_limit_of_its_grant(long_ago: LongAgo):
    # Of the grant's 60 seconds 15 remain, fewer than the 30 seconds of an access token.
    assert long_ago.used_in_time.json()["expires_in"] == 15


# Fewer scopes than were granted, and never more


async def test_a_refresh_may_ask_for_fewer_scopes(ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid email profile")
    narrowed = (await ada.refresh(client, tokens["refresh_token"], scope="profile openid")).json()
    assert set(narrowed["scope"].split()) == {"openid", "profile"}
    assert (await ada.session(narrowed["access_token"])).json()["scope"] == narrowed["scope"]


async def test_a_refresh_for_a_scope_that_was_not_granted_is_refused(ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid")
    refused = await ada.refresh(client, tokens["refresh_token"], scope="email")
    assert error_of(refused) == (400, "invalid_scope")
    assert refused.json()["error_description"] == "A refresh cannot get a scope that was not granted."


async def test_two_different_resources_in_one_request_are_refused(two_resources: Server, member: Person):
    client = (await member.register())["client_id"]
    tokens = await member.tokens(client, resource="https://mcp.example")
    form = {
        "grant_type": "refresh_token",
        "client_id": client,
        "refresh_token": tokens["refresh_token"],
        "resource": ["https://mcp.example", f"{two_resources.origin}/notes/mcp"],
    }
    assert error_of(await member.http.post("/token", data=form)) == (400, "invalid_target")


# Not a refresh token of this client


GARBAGE = ["glrt_" + "A" * 72, "\u00e9", "x" * 8000]


@pytest.mark.parametrize("token", GARBAGE, ids=lambda token: ascii(token)[:16])
async def test_a_malformed_refresh_token_is_invalid_grant(ada: Person, client: str, token: str):
    assert error_of(await ada.refresh(client, token)) == DEAD


async def test_a_refresh_without_a_token_is_invalid(ada: Person, client: str):
    answer = await ada.token(grant_type="refresh_token", client_id=client)
    assert error_of(answer) == (400, "invalid_request")


async def test_an_unknown_client_is_401_so_that_it_registers_again(ada: Person, client: str):
    tokens = await ada.tokens(client)
    assert error_of(await ada.refresh("glc_unknown", tokens["refresh_token"])) == (401, "invalid_client")
