"""Failed sign-ins of existing accounts. The request counts them; a background task records them."""

import asyncio

import pytest

from grantledger.application.accounts import failed_sign_ins
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.domain.user_account import FAILURES_PERIOD, SignInsFailed
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story


def failures_of(ledger):
    return [event for event in ledger.events if isinstance(event, SignInsFailed)]


@pytest.fixture
def fails(story, ada):
    async def fail(times=1, email=EMAIL, password="a wrong password", by=story):
        for _ in range(times):
            with pytest.raises(SignInRefused):
                await by.sign_in(email, password, CALLER)

    return fail


async def test_a_failed_sign_in_writes_nothing_itself(ledger, fails):
    with nothing_recorded(ledger):
        await fails()


async def test_failed_sign_ins_are_recorded_as_one_event_of_the_system(ledger, story, fails):
    began = story.clock.now()
    await fails(3)
    story.clock.advance(2)
    await story.failed_sign_ins.record()
    assert failures_of(ledger) == [SignInsFailed(failures=3, since=began, counted_at=began + 2)]
    assert ledger.log[-1].by.actor_kind == "system"


async def test_a_clock_that_is_set_back_delays_no_event(ledger, story, fails):
    await fails()
    story.clock.advance(-60)
    await story.failed_sign_ins.record()
    assert len(failures_of(ledger)) == 1


async def test_an_account_has_at_most_one_event_an_hour(ledger, story, fails):
    for _ in range(FAILURES_PERIOD // 60):
        await fails(2)
        await story.failed_sign_ins.record()
        story.clock.advance(60)
    assert [event.failures for event in failures_of(ledger)] == [2]
    await story.failed_sign_ins.record()
    assert [event.failures for event in failures_of(ledger)] == [2, FAILURES_PERIOD // 60 * 2 - 2]


async def test_two_processes_record_at_most_one_event_an_hour_together(ledger, story, fails):
    other = Story(ledger, outside=story.outside)
    await fails()
    await fails(by=other)
    await story.failed_sign_ins.record()
    await other.failed_sign_ins.record()
    assert len(failures_of(ledger)) == 1
    story.clock.advance(FAILURES_PERIOD)
    await other.failed_sign_ins.record()
    assert [event.failures for event in failures_of(ledger)] == [1, 1]


async def test_failures_during_recording_are_not_lost(ledger, story, fails):
    await fails()
    recording = asyncio.ensure_future(story.failed_sign_ins.record())
    await asyncio.sleep(0)
    await fails()
    await recording
    story.clock.advance(FAILURES_PERIOD)
    await story.failed_sign_ins.record()
    assert sum(event.failures for event in failures_of(ledger)) == 2


async def test_a_sign_in_without_an_account_is_not_counted(ledger, story, fails):
    await fails(email="nobody@example.com")
    with nothing_recorded(ledger):
        await story.failed_sign_ins.record()


async def test_a_right_password_of_a_disabled_user_is_counted(ledger, story, ada, fails):
    await story.disable_user(ada.user_id, CALLER)
    await fails(password=PASSWORD)
    await story.failed_sign_ins.record()
    assert len(failures_of(ledger)) == 1


async def test_in_an_outage_the_count_is_kept(ledger, story, fails):
    await fails(2)
    ledger.outage = True
    await story.failed_sign_ins.record()
    ledger.outage = False
    await story.failed_sign_ins.record()
    assert [event.failures for event in failures_of(ledger)] == [2]


async def test_the_number_of_counted_accounts_is_limited(ledger, story, fails, monkeypatch):
    monkeypatch.setattr(failed_sign_ins, "MOST_ACCOUNTS", 1)
    await story.open_account("eve@example.com", PASSWORD, CALLER)
    await fails()
    await fails(email="eve@example.com")
    await story.failed_sign_ins.record()
    assert len(failures_of(ledger)) == 1
