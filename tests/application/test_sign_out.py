from msgspec.structs import replace

from grantledger.application.provenance import by_user
from grantledger.domain.browser_session import SignedOut
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD


async def test_signing_out_is_recorded_as_the_users_act(ledger, story, ada):
    await story.sign_out(ada, CALLER)
    assert ledger.log[-1].event == SignedOut(signed_out_at=story.clock.now())
    assert ledger.log[-1].by == by_user(ada.user_id, CALLER)


async def test_signing_out_twice_records_one_event(ledger, story, ada):
    await story.sign_out(ada, CALLER)
    with nothing_recorded(ledger):
        await story.sign_out(ada, CALLER)


async def test_signing_out_of_an_unknown_session_does_nothing(ledger, story, ada):
    with nothing_recorded(ledger):
        await story.sign_out(replace(ada, session_id="no-such-session"), CALLER)


async def test_signing_out_ends_no_other_session(story, ada):
    elsewhere = await story.sign_in(EMAIL, PASSWORD, CALLER)
    await story.sign_out(ada, CALLER)
    assert (await story.find_browser_session(elsewhere.cookie)).session == elsewhere.session


async def test_signing_out_keeps_the_grants(story, ada, tokens):
    await story.sign_out(ada, CALLER)
    assert await story.looks_up(tokens)
