import asyncio

import pytest

from grantledger.application.accounts.change_password import PasswordWrong
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.provenance import by_user
from grantledger.domain.browser_session import SignedIn
from grantledger.domain.password import (
    PasswordIsAddress,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)
from grantledger.domain.user_account import PasswordChanged, SessionsEnded, UserIsDisabled
from support.storage import InterleavingLedger, InterruptedLedger, nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story

NEW = "a new password of length"


async def test_a_password_change_is_recorded_without_the_password(ledger, story, ada):
    before = len(ledger.log)
    await story.change_password(ada.user_id, PASSWORD, NEW, CALLER)
    assert [type(event) for event in ledger.events[before:]] == [PasswordChanged, SessionsEnded, SignedIn]
    assert all(NEW not in repr(event) for event in ledger.events)
    assert ledger.log[-1].by == by_user(ada.user_id, CALLER)


async def test_only_the_new_password_signs_in(story, ada):
    await story.change_password(ada.user_id, PASSWORD, NEW, CALLER)
    assert await story.signs_in(password=NEW)
    with pytest.raises(SignInRefused):
        await story.signs_in()


async def test_only_the_session_that_changed_the_password_stays_signed_in(story, ada):
    elsewhere = await story.sign_in(EMAIL, PASSWORD, CALLER)
    new = await story.change_password(ada.user_id, PASSWORD, NEW, CALLER)
    assert (await story.find_browser_session(new.cookie)).session == new.session
    assert await story.find_browser_session(elsewhere.cookie) is None


async def test_a_change_that_meets_a_conflict_hashes_each_password_once(ledger, story, ada):
    racing = Story(
        InterruptedLedger(ledger, lambda: story.sign_out_everywhere(ada.user_id, CALLER)),
        outside=story.outside,
    )
    tried, hashed = story.hasher.tried, story.hasher.hashed
    await racing.change_password(ada.user_id, PASSWORD, NEW, CALLER)
    assert (story.hasher.tried - tried, story.hasher.hashed - hashed) == (1, 1)
    assert await story.signs_in(password=NEW)


async def test_a_change_that_another_one_overtakes_is_refused(ledger, story, ada):
    """The old password is checked again, against the hash that replaced the first one."""
    racing = Story(
        InterruptedLedger(ledger, lambda: story.set_password(ada.user_id, "another long one", CALLER)),
        outside=story.outside,
    )
    with pytest.raises(PasswordWrong):
        await racing.change_password(ada.user_id, PASSWORD, NEW, CALLER)
    assert await story.signs_in(password="another long one")


async def test_the_current_password_is_required(ledger, story, ada):
    with nothing_recorded(ledger), pytest.raises(PasswordWrong):
        await story.change_password(ada.user_id, "not the old one", NEW, CALLER)


@pytest.mark.parametrize(
    ("new", "refusal"),
    [
        ("short", PasswordTooShort),
        ("x" * 1025, PasswordTooLong),
        ("password2026", PasswordTooCommon),
        (EMAIL, PasswordIsAddress),
    ],
)
async def test_a_forbidden_new_password_is_refused_before_the_current_is_checked(
    ledger, story, ada, new, refusal
):
    with nothing_recorded(ledger), pytest.raises(refusal):
        await story.change_password(ada.user_id, "wrong", new, CALLER)


async def test_a_disabled_user_cannot_change_the_password(ledger, story, ada):
    await story.disable_user(ada.user_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(UserIsDisabled):
        await story.change_password(ada.user_id, PASSWORD, NEW, CALLER)


async def test_grants_stay_after_a_password_change(story, ada, tokens):
    await story.change_password(ada.user_id, PASSWORD, NEW, CALLER)
    assert await story.looks_up(tokens)


async def test_of_two_parallel_changes_one_is_refused_as_wrong(ledger, story, ada):
    racing = Story(InterleavingLedger(ledger), outside=story.outside)
    ends = await asyncio.gather(
        *(racing.change_password(ada.user_id, PASSWORD, f"{NEW} {n}", CALLER) for n in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(end).__name__ for end in ends) == ["NewBrowserSession", "PasswordWrong"]


async def test_a_parallel_sign_in_with_the_old_password_is_ended_too(ledger, story, ada):
    """In any order of the two: once both have ended, no session from the old password is left."""
    for turns in range(12):
        racing = Story(InterleavingLedger(ledger), outside=story.outside)
        old, new = (PASSWORD, NEW) if turns % 2 == 0 else (NEW, PASSWORD)

        async def late(turns: int = turns, old: str = old, racing: Story = racing) -> str | None:
            for _ in range(turns):
                await asyncio.sleep(0)
            try:
                return (await racing.sign_in(EMAIL, old, CALLER)).cookie
            except SignInRefused:
                return None

        cookie, _ = await asyncio.gather(late(), racing.change_password(ada.user_id, old, new, CALLER))
        assert await story.find_browser_session(cookie) is None, turns
