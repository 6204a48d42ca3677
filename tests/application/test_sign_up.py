import pytest

from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.provenance import by_user
from grantledger.domain.email_address import EmailInvalid
from grantledger.domain.password import PasswordTooLong, PasswordTooShort
from grantledger.domain.user_account import AccountOpened
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD


async def test_somebody_new_has_an_account_of_their_own_making(ledger, story):
    await story.sign_up(EMAIL, PASSWORD, CALLER)
    session = await story.signs_in()
    assert ledger.events[0] == AccountOpened(user_id=session.user_id, opened_at=story.clock.now())
    assert ledger.log[0].by == by_user(session.user_id, CALLER)


async def test_nobody_learns_that_an_address_is_taken(ledger, story, ada):
    with nothing_recorded(ledger):
        assert await story.sign_up(EMAIL, "another password", CALLER) is None


async def test_signing_up_with_the_address_of_another_changes_no_password(story, ada):
    await story.sign_up(EMAIL, "another password", CALLER)
    assert await story.signs_in()
    with pytest.raises(SignInRefused):
        await story.signs_in(password="another password")


@pytest.mark.parametrize(
    ("email", "password", "refusal"),
    [
        ("nobody", PASSWORD, EmailInvalid),
        (EMAIL, "short", PasswordTooShort),
        (EMAIL, "x" * 1025, PasswordTooLong),
    ],
)
async def test_a_wrong_form_is_refused_alike_for_new_and_taken_addresses(story, email, password, refusal):
    with pytest.raises(refusal):
        await story.sign_up(email, password, CALLER)
    await story.open_account(EMAIL, PASSWORD, CALLER)
    with pytest.raises(refusal):
        await story.sign_up(email, password, CALLER)
