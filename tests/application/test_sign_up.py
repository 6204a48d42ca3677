import pytest

from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.provenance import by_user
from grantledger.domain.email_address import EmailInvalid
from grantledger.domain.password import PasswordTooCommon, PasswordTooLong, PasswordTooShort
from grantledger.domain.user_account import AccountOpened
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD


async def test_a_new_user_gets_an_account_recorded_as_their_own_act(ledger, story):
    await story.sign_up(EMAIL, PASSWORD, CALLER)
    session = await story.signs_in()
    assert ledger.events[0] == AccountOpened(user_id=session.user_id, opened_at=story.clock.now())
    assert ledger.log[0].by == by_user(session.user_id, CALLER)


async def test_sign_up_does_not_reveal_that_an_address_is_taken(ledger, story, ada):
    with nothing_recorded(ledger):
        assert await story.sign_up(EMAIL, "another password", CALLER) is None


async def test_sign_up_with_a_taken_address_changes_no_password(story, ada):
    await story.sign_up(EMAIL, "another password", CALLER)
    assert await story.signs_in()
    with pytest.raises(SignInRefused):
        await story.signs_in(password="another password")


@pytest.mark.parametrize(
    ("email", "password", "refusal"),
    [
        ("not an address", PASSWORD, EmailInvalid),
        (EMAIL, "short", PasswordTooShort),
        (EMAIL, "password2026", PasswordTooCommon),
        (EMAIL, "x" * 1025, PasswordTooLong),
    ],
)
async def test_an_invalid_form_is_refused_alike_for_new_and_taken_addresses(story, email, password, refusal):
    with pytest.raises(refusal):
        await story.sign_up(email, password, CALLER)
    await story.open_account(EMAIL, PASSWORD, CALLER)
    with pytest.raises(refusal):
        await story.sign_up(email, password, CALLER)
