import re

import pytest

from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.ports import Unavailable
from grantledger.application.provenance import by_user
from grantledger.domain.browser_session import SignedIn
from grantledger.domain.digests import digest
from support.storage import InterruptedLedger, nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story


@pytest.fixture
async def user_id(story):
    return await story.open_account(EMAIL, PASSWORD, CALLER)


async def test_signs_in_with_the_right_password(story, user_id):
    assert (await story.sign_in(EMAIL, PASSWORD, CALLER)).session.user_id == user_id


@pytest.mark.parametrize("spelling", ["ADA@Example.COM", "  ada@example.com "])
async def test_signs_in_with_any_spelling_of_the_address(story, user_id, spelling):
    assert (await story.sign_in(spelling, PASSWORD, CALLER)).session.user_id == user_id


async def test_a_sign_in_is_recorded_as_the_users_act(ledger, story, user_id):
    new = await story.sign_in(EMAIL, PASSWORD, CALLER)
    now = story.clock.now()
    assert ledger.log[-1].event == SignedIn(
        session_id=new.session.session_id,
        user_id=user_id,
        secret_digest=digest(new.cookie.partition(".")[2]),
        signed_in_at=now,
        expires_at=now + 86_400,
    )
    assert ledger.log[-1].by == by_user(user_id, CALLER)


async def test_every_sign_in_makes_a_new_session(story, user_id):
    one, other = [await story.sign_in(EMAIL, PASSWORD, CALLER) for _ in range(2)]
    assert one.session.session_id != other.session.session_id
    assert one.cookie.partition(".")[2] != other.cookie.partition(".")[2]


async def test_the_cookie_value_needs_no_encoding(story, user_id):
    cookie = (await story.sign_in(EMAIL, PASSWORD, CALLER)).cookie
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", cookie)


# the same refusal, after the same work, for every reason

REASONS = pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong password"),
        (EMAIL, ""),
        (EMAIL, PASSWORD.upper()),
        ("unknown@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
    ],
)


@REASONS
async def test_a_wrong_address_or_password_is_refused_alike(ledger, story, user_id, email, password):
    with nothing_recorded(ledger), pytest.raises(SignInRefused) as refused:
        await story.sign_in(email, password, CALLER)
    assert str(refused.value) == ""


@REASONS
async def test_a_password_is_hashed_for_every_kind_of_refusal(story, user_id, email, password):
    with pytest.raises(SignInRefused):
        await story.sign_in(email, password, CALLER)
    assert story.hasher.tried == 1


async def test_refuses_a_disabled_user(ledger, story, user_id):
    await story.disable_user(user_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(SignInRefused) as refused:
        await story.sign_in(EMAIL, PASSWORD, CALLER)
    assert str(refused.value) == ""


async def test_the_password_of_a_disabled_user_is_hashed_too(story, user_id):
    await story.disable_user(user_id, CALLER)
    with pytest.raises(SignInRefused):
        await story.sign_in(EMAIL, PASSWORD, CALLER)
    assert story.hasher.tried == 1


async def test_the_password_of_another_user_is_wrong(story, user_id):
    await story.open_account("bob@example.com", "bob's own password", CALLER)
    with pytest.raises(SignInRefused):
        await story.sign_in(EMAIL, "bob's own password", CALLER)


async def test_an_outage_is_not_a_wrong_password(ledger, story, user_id):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await story.sign_in(EMAIL, PASSWORD, CALLER)


async def test_a_hash_with_old_parameters_is_replaced_at_the_next_sign_in(ledger, story, user_id):
    story.hasher.parameters = "newer"
    await story.signs_in()
    assert await ledger.value(user_id, "password_hash") == f"newer {PASSWORD}"
    assert await story.signs_in()


async def test_a_hash_with_todays_parameters_stays(ledger, story, user_id):
    before = await ledger.value(user_id, "password_hash")
    await story.signs_in()
    assert await ledger.value(user_id, "password_hash") == before


async def test_a_wrong_password_replaces_no_hash(ledger, story, user_id):
    before = await ledger.value(user_id, "password_hash")
    story.hasher.parameters = "newer"
    with pytest.raises(SignInRefused):
        await story.sign_in(EMAIL, "a wrong password", CALLER)
    assert await ledger.value(user_id, "password_hash") == before


async def test_a_user_disabled_during_the_sign_in_gets_no_session(ledger, story, user_id):
    racing = Story(
        InterruptedLedger(ledger, lambda: story.disable_user(user_id, CALLER)), outside=story.outside
    )
    with pytest.raises(SignInRefused):
        await racing.sign_in(EMAIL, PASSWORD, CALLER)
    assert not any(isinstance(event, SignedIn) for event in ledger.events)


async def test_a_password_set_during_the_sign_in_refuses_the_old_one(ledger, story, user_id):
    racing = Story(
        InterruptedLedger(ledger, lambda: story.set_password(user_id, "another long one", CALLER)),
        outside=story.outside,
    )
    with pytest.raises(SignInRefused):
        await racing.sign_in(EMAIL, PASSWORD, CALLER)


async def test_a_sign_in_that_meets_a_conflict_hashes_its_password_once(ledger, story, user_id):
    story.hasher.parameters = "newer"  # so that the sign-in stores a new hash
    racing = Story(
        InterruptedLedger(ledger, lambda: story.sign_out_everywhere(user_id, CALLER)), outside=story.outside
    )
    hashed = story.hasher.hashed
    await racing.sign_in(EMAIL, PASSWORD, CALLER)
    assert (story.hasher.tried, story.hasher.hashed - hashed) == (1, 1)


async def test_a_new_hash_does_not_overwrite_a_password_set_meanwhile(ledger, story, user_id):
    story.hasher.parameters = "newer"
    racing = Story(
        InterruptedLedger(ledger, lambda: story.set_password(user_id, "another long one", CALLER)),
        outside=story.outside,
    )
    with pytest.raises(SignInRefused):
        await racing.sign_in(EMAIL, PASSWORD, CALLER)
    assert await story.signs_in(password="another long one")
