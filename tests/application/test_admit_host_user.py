import asyncio

import pytest

from grantledger.application.accounts.admit_host_user import HOST_USER, VoucherUsed
from grantledger.application.provenance import by_user
from grantledger.domain.browser_session import SignedIn
from grantledger.domain.user_account import AccountOpened, UserIsDisabled
from support.storage import InterleavingLedger, InterruptedLedger, nothing_recorded
from support.story import CALLER, EMAIL, Story


async def test_a_new_user_of_the_host_gets_an_account(ledger, story):
    account = await story.admit_host_user("ada@host.example", CALLER)
    assert ledger.events == [AccountOpened(user_id=account.user_id, opened_at=story.clock.now())]
    assert ledger.log[0].by == by_user(account.user_id, CALLER)


async def test_a_returning_user_of_the_host_has_the_same_account(ledger, story):
    account = await story.admit_host_user("ada", CALLER)
    with nothing_recorded(ledger):
        assert await story.admit_host_user("ada", CALLER) == account


async def test_two_users_of_the_host_have_two_accounts(story):
    ada, eve = [await story.admit_host_user(name, CALLER) for name in ("ada", "eve")]
    assert ada.user_id != eve.user_id


async def test_the_hosts_id_is_a_private_record_and_in_no_event(ledger, story):
    account = await story.admit_host_user("ada@host.example", CALLER)
    assert "ada@host.example" not in repr(ledger.log)
    assert await ledger.value(account.user_id, HOST_USER) == "ada@host.example"


async def test_a_hosts_id_is_not_looked_up_as_an_e_mail_address(story, ada):
    assert (await story.admit_host_user(EMAIL, CALLER)).user_id != ada.user_id


async def test_a_disabled_user_of_the_host_stays_disabled(story):
    account = await story.admit_host_user("ada", CALLER)
    await story.disable_user(account.user_id, CALLER)
    assert (await story.admit_host_user("ada", CALLER)).disabled


async def test_parallel_requests_of_a_new_host_user_open_one_account(ledger, story):
    racing = Story(InterleavingLedger(ledger), outside=story.outside)
    seen = await asyncio.gather(*(racing.admit_host_user("ada", CALLER) for _ in range(6)))
    assert len({account.user_id for account in seen}) == 1
    assert len(ledger.log) == 1


async def test_a_voucher_opens_one_session(ledger, story):
    new = await story.sign_in_host_user("ada", CALLER, session_id="signin-1", longest=900)
    assert new.session.expires_at == story.clock.now() + 900
    with nothing_recorded(ledger), pytest.raises(VoucherUsed):
        await story.sign_in_host_user("ada", CALLER, session_id="signin-1", longest=900)


async def test_a_disabled_user_of_the_host_is_not_signed_in(story):
    account = await story.admit_host_user("ada", CALLER)
    await story.disable_user(account.user_id, CALLER)
    with pytest.raises(UserIsDisabled):
        await story.sign_in_host_user("ada", CALLER, session_id="signin-1", longest=900)


async def test_a_user_disabled_during_the_vouching_gets_no_session(ledger, story):
    account = await story.admit_host_user("ada", CALLER)
    racing = Story(
        InterruptedLedger(ledger, lambda: story.disable_user(account.user_id, CALLER)), outside=story.outside
    )
    with pytest.raises(UserIsDisabled):
        await racing.sign_in_host_user("ada", CALLER, session_id="signin-1", longest=900)
    assert not any(isinstance(event, SignedIn) for event in ledger.events)


async def test_of_parallel_uses_of_a_voucher_one_opens_a_session(ledger, story):
    racing = Story(InterleavingLedger(ledger), outside=story.outside)
    uses = [racing.sign_in_host_user("ada", CALLER, session_id="signin-1", longest=900) for _ in range(6)]
    answers = await asyncio.gather(*uses, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["NewBrowserSession"] + ["VoucherUsed"] * 5
