import pytest

from grantledger.application.ports import Unavailable
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD


@pytest.fixture
async def signed_in(story):
    await story.open_account(EMAIL, PASSWORD, CALLER)
    return await story.sign_in(EMAIL, PASSWORD, CALLER)


@pytest.fixture(params=["alone", "with the facts of a request"])
def find(request, story):
    """Return the function that finds the session of a cookie."""

    async def find(cookie):
        if request.param == "alone":
            found = await story.find_browser_session(cookie)
            return found and found.session
        found = await story.find_browser_session.asking(cookie, client_id="glc_editor", transaction_id="code")
        return found and found[0]

    return find


async def test_the_cookie_finds_the_session(story, signed_in, find):
    assert await find(signed_in.cookie) == signed_in.session


async def test_finding_a_session_records_nothing(ledger, story, signed_in, find):
    with nothing_recorded(ledger):
        await find(signed_in.cookie)


@pytest.mark.parametrize("cookie", [None, "", ".", "x", "x.", ".x", "no-such-session.secret"])
async def test_a_malformed_cookie_finds_no_session(story, signed_in, cookie, find):
    assert await find(cookie) is None


async def test_a_cookie_with_another_secret_finds_no_session(story, signed_in, find):
    assert await find(f"{signed_in.session.session_id}.guessed") is None


async def test_a_cookie_with_the_secret_of_another_session_finds_none(story, signed_in, find):
    other = await story.sign_in(EMAIL, PASSWORD, CALLER)
    secret = other.cookie.partition(".")[2]
    assert await find(f"{signed_in.session.session_id}.{secret}") is None


async def test_the_stored_digest_is_not_the_secret(story, signed_in, find):
    session = signed_in.session
    assert await find(f"{session.session_id}.{session.secret_digest}") is None


async def test_a_session_has_ended_in_the_second_of_its_expiry(story, signed_in, find):
    story.clock.advance(86_400)
    assert await find(signed_in.cookie) is None


async def test_a_session_is_live_in_its_last_second(story, signed_in, find):
    story.clock.advance(86_399)
    assert await find(signed_in.cookie) == signed_in.session


async def test_after_signing_out_no_session_is_found(story, signed_in, find):
    await story.sign_out(signed_in.session, CALLER)
    assert await find(signed_in.cookie) is None


async def test_a_disabled_user_has_no_session(story, signed_in, find):
    await story.disable_user(signed_in.session.user_id, CALLER)
    assert await find(signed_in.cookie) is None


async def test_an_outage_raises_instead_of_finding_no_session(ledger, story, signed_in, find):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await find(signed_in.cookie)
