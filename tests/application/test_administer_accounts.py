"""What an operator may do to a user's account."""

import pytest

from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.provenance import by_operator
from grantledger.domain.password import PasswordTooShort
from grantledger.domain.user_account import AccountEnabled, PasswordChanged, PasswordErased, UserUnknown
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD


async def test_an_enabled_user_has_grants_and_sign_in_again(ledger, story, ada, client, tokens):
    await story.disable_user(ada.user_id, CALLER)
    await story.enable_user(ada.user_id, CALLER)
    assert ledger.log[-1].event == AccountEnabled(enabled_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(CALLER)
    assert await story.looks_up(tokens)
    assert await story.signs_in()


async def test_enabling_an_enabled_user_records_nothing(ledger, story, ada):
    with nothing_recorded(ledger):
        await story.enable_user(ada.user_id, CALLER)


async def test_an_erased_password_does_not_sign_in(ledger, story, ada):
    await story.erase_password(ada.user_id, CALLER)
    assert PasswordErased(erased_at=story.clock.now()) in ledger.events
    assert ledger.log[-1].by == by_operator(CALLER)
    assert await ledger.value(ada.user_id, "password_hash") is None
    assert await ledger.value(ada.user_id, "email") == EMAIL
    with pytest.raises(SignInRefused):
        await story.signs_in()


async def test_erasing_a_password_ends_sessions_and_keeps_grants(story, ada, tokens):
    new = await story.sign_in(EMAIL, PASSWORD, CALLER)
    await story.erase_password(ada.user_id, CALLER)
    assert await story.find_browser_session(new.cookie) is None
    assert await story.looks_up(tokens)


async def test_a_password_set_by_an_operator_replaces_the_old_one(ledger, story, ada):
    old = await story.sign_in(EMAIL, PASSWORD, CALLER)
    await story.erase_password(ada.user_id, CALLER)
    await story.set_password(ada.user_id, "another long one", CALLER)
    assert PasswordChanged(changed_at=story.clock.now()) in ledger.events
    assert ledger.log[-1].by == by_operator(CALLER)
    assert await story.find_browser_session(old.cookie) is None
    assert await story.signs_in(password="another long one")
    with pytest.raises(SignInRefused):
        await story.signs_in()


async def test_a_password_that_is_too_short_is_refused(ledger, story, ada):
    with nothing_recorded(ledger), pytest.raises(PasswordTooShort):
        await story.set_password(ada.user_id, "short", CALLER)


async def test_an_unknown_user_is_refused(ledger, story):
    with nothing_recorded(ledger):
        with pytest.raises(UserUnknown):
            await story.enable_user("glu_unknown", CALLER)
        with pytest.raises(UserUnknown):
            await story.erase_password("glu_unknown", CALLER)
        with pytest.raises(UserUnknown):
            await story.set_password("glu_unknown", "long enough", CALLER)
