import pytest

from grantledger.application.ports import Unavailable
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD


@pytest.fixture
async def signed_in(story):
    await story.open_account(EMAIL, PASSWORD, CALLER)
    return await story.sign_in(EMAIL, PASSWORD, CALLER)


async def test_the_cookie_finds_the_session(story, signed_in):
    assert (await story.find_browser_session(signed_in.cookie)).session == signed_in.session


async def test_finding_a_session_records_nothing(ledger, story, signed_in):
    with nothing_recorded(ledger):
        await story.find_browser_session(signed_in.cookie)


@pytest.mark.parametrize("cookie", [None, "", ".", "x", "x.", ".x", "no-such-session.secret"])
async def test_a_malformed_cookie_finds_no_session(story, signed_in, cookie):
    assert await story.find_browser_session(cookie) is None


async def test_a_cookie_with_another_secret_finds_no_session(story, signed_in):
    assert await story.find_browser_session(f"{signed_in.session.session_id}.guessed") is None


async def test_a_cookie_with_the_secret_of_another_session_finds_none(story, signed_in):
    other = await story.sign_in(EMAIL, PASSWORD, CALLER)
    secret = other.cookie.partition(".")[2]
    assert await story.find_browser_session(f"{signed_in.session.session_id}.{secret}") is None


async def test_the_stored_digest_is_not_the_secret(story, signed_in):
    session = signed_in.session
    assert await story.find_browser_session(f"{session.session_id}.{session.secret_digest}") is None


async def test_a_session_has_ended_in_the_second_of_its_expiry(story, signed_in):
    story.clock.advance(86_400)
    assert await story.find_browser_session(signed_in.cookie) is None


async def test_a_session_is_live_in_its_last_second(story, signed_in):
    story.clock.advance(86_399)
    assert (await story.find_browser_session(signed_in.cookie)).session == signed_in.session


async def test_after_signing_out_no_session_is_found(story, signed_in):
    await story.sign_out(signed_in.session, CALLER)
    assert await story.find_browser_session(signed_in.cookie) is None


async def test_a_disabled_user_has_no_session(story, signed_in):
    await story.disable_user(signed_in.session.user_id, CALLER)
    assert await story.find_browser_session(signed_in.cookie) is None


async def test_an_outage_raises_instead_of_finding_no_session(ledger, story, signed_in):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await story.find_browser_session(signed_in.cookie)
