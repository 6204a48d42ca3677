import pytest

from grantledger.application.provenance import by_operator
from grantledger.domain.user_account import AccountDisabled, UserUnknown
from support.storage import nothing_recorded
from support.story import CALLER, PASSWORD


async def test_disabling_is_recorded_as_the_operators_act(ledger, story, ada):
    await story.disable_user(ada.user_id, CALLER)
    assert ledger.log[-1].event == AccountDisabled(disabled_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)


async def test_disabling_is_one_event_for_any_number_of_grants(ledger, story, client, ada):
    for _ in range(3):
        await story.tokens(client, ada)
    before = len(ledger.log)
    await story.disable_user(ada.user_id, CALLER)
    assert len(ledger.log) == before + 1


async def test_disabling_twice_records_one_event(ledger, story, ada):
    await story.disable_user(ada.user_id, CALLER)
    with nothing_recorded(ledger):
        await story.disable_user(ada.user_id, CALLER)


async def test_disabling_a_user_does_not_affect_others(story, client, ada):
    await story.open_account("bob@example.com", PASSWORD, CALLER)
    tokens = await story.tokens(client, await story.signs_in("bob@example.com"))
    await story.disable_user(ada.user_id, CALLER)
    assert await story.looks_up(tokens)


async def test_an_unknown_user_is_refused(ledger, story):
    with nothing_recorded(ledger), pytest.raises(UserUnknown):
        await story.disable_user("glu_unknown", CALLER)
