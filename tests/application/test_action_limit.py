"""Limits on what authenticated callers do."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from fakes.password_hasher import PlainPasswordHasher
from grantledger.adapters.throttles import Throttles
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.ports import Unavailable
from grantledger.application.throttling import ActionLimit, TooManyActions, TooManyGuesses
from grantledger.domain.rate import Rate
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story
from support.use_cases import Outside


def two_a_minute() -> ActionLimit:
    return Throttles(now=lambda: 1_700_000_000.0).action_limit("refreshes", Rate(2, 60))


def with_limits(ledger: Any, story: Story, **limits: ActionLimit) -> Story:
    """Return the same server with these limits."""
    return Story(ledger, outside=replace(story.outside, **limits))


# the limit


def does(limit: ActionLimit, key: str = "grant", within: str | None = None) -> None:
    with limit.counted(key, within=within):
        pass


def test_each_key_has_its_own_limit():
    limit = two_a_minute()
    for _ in range(2):
        does(limit, "one")
    with pytest.raises(TooManyActions):
        does(limit, "one")
    does(limit, "other")


def test_the_refusal_says_when_to_try_again():
    limit = two_a_minute()
    for _ in range(2):
        does(limit)
    with pytest.raises(TooManyActions) as refused:
        does(limit)
    assert refused.value.retry_after == 30


def test_all_keys_of_one_group_share_ten_times_the_limit():
    limit = two_a_minute()
    for number in range(20):
        does(limit, f"session {number}", within="ada")
    with pytest.raises(TooManyActions):
        does(limit, "another session", within="ada")
    does(limit, "another session", within="eve")


def test_what_fails_does_not_count():
    limit = two_a_minute()
    for _ in range(5):
        with pytest.raises(Unavailable), limit.counted("session", within="ada"):
            raise Unavailable
    for _ in range(2):
        does(limit, "session", within="ada")


# refreshes of one grant


async def test_the_refreshes_of_one_grant_are_bounded(ledger, story, client, ada, tokens):
    limited = with_limits(ledger, story, refreshes=two_a_minute())
    for _ in range(2):
        tokens = await limited.refreshes(client, tokens)
    with nothing_recorded(ledger), pytest.raises(TooManyActions):
        await limited.refreshes(client, tokens)


async def test_another_grant_is_still_refreshed(ledger, story, client, ada, tokens):
    other = await story.tokens(client, ada)
    limited = with_limits(ledger, story, refreshes=two_a_minute())
    for _ in range(2):
        tokens = await limited.refreshes(client, tokens)
    await limited.refreshes(client, other)


async def test_retries_within_the_window_do_not_count(ledger, story, client, tokens):
    limited = with_limits(ledger, story, refreshes=two_a_minute())
    newest = await limited.refreshes(client, tokens)
    for _ in range(10):
        await limited.refreshes(client, tokens)
    assert (await limited.refreshes(client, newest)).refresh_token != newest.refresh_token


async def test_twenty_parallel_refreshes_count_as_one(ledger, story, client, tokens):
    limit = Throttles().action_limit("refreshes", Rate(20, 10**9))
    racing = with_limits(InterleavingLedger(ledger), story, refreshes=limit)
    await asyncio.gather(*(racing.refreshes(client, tokens) for _ in range(20)))
    for _ in range(20):  # the first presents the used token again: a retry, which does not count
        tokens = await racing.refreshes(client, tokens)
    with pytest.raises(TooManyActions):
        await racing.refreshes(client, tokens)


# codes


async def test_the_codes_for_one_session_are_bounded(ledger, story, client, ada):
    limited = with_limits(ledger, story, issued_codes=two_a_minute())
    for _ in range(2):
        await limited.code(client, ada)
    request = await limited.asks(client, ada)
    with nothing_recorded(ledger), pytest.raises(TooManyActions):
        await limited.allows(request, ada)


async def test_a_lost_response_is_sent_again_and_does_not_count(ledger, story, client, ada):
    limited = with_limits(ledger, story, issued_codes=two_a_minute())
    request = await limited.asks(client, ada)
    first = await limited.allows(request, ada)
    for _ in range(5):
        assert await limited.allows(request, ada) == first


# sessions of one user


async def test_the_sign_ins_of_one_user_are_bounded(ledger, story, ada):
    limited = with_limits(ledger, story, sign_ins=two_a_minute())
    for _ in range(2):
        await limited.signs_in()
    with nothing_recorded(ledger), pytest.raises(TooManyActions):
        await limited.signs_in()


# password checks of one account


class SlowHasher(PlainPasswordHasher):
    """Password checks end when `release` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.release = asyncio.Event()

    async def matches(self, password: str, password_hash: str | None) -> bool:
        await self.release.wait()
        return await super().matches(password, password_hash)


async def test_the_queue_for_password_checks_of_one_account_is_bounded(ledger):
    hasher = SlowHasher()
    outside = Outside(
        hasher=hasher, guesses=Throttles().guess_limit("passwords", Rate(100, 3_600), most_waiting=4)
    )
    server = Story(ledger, outside=outside)
    await server.open_account(EMAIL, PASSWORD, CALLER)
    waiting = [asyncio.create_task(server.signs_in()) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyGuesses) as refused:
        await server.signs_in()
    other = asyncio.create_task(server.signs_in("eve@example.com", "wrong password"))
    await asyncio.sleep(0)
    hasher.release.set()
    assert refused.value.retry_after == 1
    assert len(await asyncio.gather(*waiting)) == 4
    with pytest.raises(SignInRefused):
        await other
    await server.signs_in()


def test_a_finished_check_leaves_no_count_in_memory():
    limit = Throttles().guess_limit("passwords", Rate(100, 3_600), most_waiting=4)
    with limit.guess("ada", "192.0.2.1"):
        assert limit.waiting == 1
    assert limit.waiting == 0


def test_a_check_refused_by_another_limit_does_not_count_as_a_wrong_guess():
    limit = Throttles().guess_limit("passwords", Rate(1, 3_600))
    with pytest.raises(TooManyActions), limit.guess("ada", "192.0.2.1"):
        raise TooManyActions("sign-ins", retry_after=1)
    with limit.guess("ada", "192.0.2.1"):
        pass
