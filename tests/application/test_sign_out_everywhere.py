import pytest

from grantledger.application.provenance import by_user
from grantledger.domain.user_account import SessionsEnded, UserUnknown
from support.story import CALLER, EMAIL, PASSWORD


async def test_signing_out_everywhere_is_recorded_as_the_users_act(ledger, story, ada):
    await story.sign_out_everywhere(ada.user_id, CALLER)
    assert ledger.log[-1].event == SessionsEnded(session_epoch=1, ended_at=story.clock.now())
    assert ledger.log[-1].by == by_user(ada.user_id, CALLER)


async def test_signing_out_everywhere_ends_every_session(story, ada):
    browsers = [await story.sign_in(EMAIL, PASSWORD, CALLER) for _ in range(3)]
    await story.sign_out_everywhere(ada.user_id, CALLER)
    assert [await story.find_browser_session(new.cookie) for new in browsers] == [None] * 3


async def test_signing_in_again_in_the_same_second_works(story, ada):
    await story.sign_out_everywhere(ada.user_id, CALLER)
    new = await story.sign_in(EMAIL, PASSWORD, CALLER)
    assert (await story.find_browser_session(new.cookie)).session == new.session


async def test_signing_out_everywhere_ends_no_other_users_session(story, ada):
    await story.open_account("eve@example.com", PASSWORD, CALLER)
    eve = await story.sign_in("eve@example.com", PASSWORD, CALLER)
    await story.sign_out_everywhere(ada.user_id, CALLER)
    assert (await story.find_browser_session(eve.cookie)).session == eve.session


async def test_signing_out_everywhere_keeps_the_grants(story, ada, tokens):
    await story.sign_out_everywhere(ada.user_id, CALLER)
    assert await story.looks_up(tokens)


async def test_an_unknown_user_is_refused(story):
    with pytest.raises(UserUnknown):
        await story.sign_out_everywhere("glu_unknown", CALLER)
