import pytest

from grantledger.application.provenance import by_operator
from grantledger.domain.user_account import AccountDisabled, UserUnknown
from support.storage import nothing_recorded
from support.story import CALLER, PASSWORD


async def test_disabling_is_remembered_with_the_operator_as_the_one_who_did_it(ledger, story, ada):
    await story.disable_user(ada.user_id, CALLER)
    assert ledger.log[-1].event == AccountDisabled(disabled_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_disabling_is_one_event_however_many_grants_there_are(ledger, story, client, ada):
    for _ in range(3):
        await story.tokens(client, ada)
    before = len(ledger.log)
    await story.disable_user(ada.user_id, CALLER)
    assert len(ledger.log) == before + 1


async def test_disabling_twice_is_disabling_once(ledger, story, ada):
    await story.disable_user(ada.user_id, CALLER)
    with nothing_recorded(ledger):
        await story.disable_user(ada.user_id, CALLER)


async def test_disabling_a_user_leaves_the_others(story, client, ada):
    await story.open_account("bob@example.com", PASSWORD, CALLER)
    tokens = await story.tokens(client, await story.signs_in("bob@example.com"))
    await story.disable_user(ada.user_id, CALLER)
    assert await story.looks_up(tokens)


async def test_nobody_is_unknown(ledger, story):
    with nothing_recorded(ledger), pytest.raises(UserUnknown):
        await story.disable_user("glu_nobody", CALLER)
