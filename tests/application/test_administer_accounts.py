"""What an operator may do to a user's account."""

import pytest

from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.ports import Unavailable
from grantledger.application.provenance import Caller, by_operator
from grantledger.domain.authorization_code import ConsentWithdrawnSince
from grantledger.domain.consent import ConsentWithdrawn
from grantledger.domain.password import PasswordIsAddress, PasswordTooCommon, PasswordTooShort
from grantledger.domain.person_name import NameInvalid
from grantledger.domain.token_grant import GrantIsRevoked, GrantRevoked
from grantledger.domain.user_account import (
    AccountEnabled,
    NameChanged,
    PasswordChanged,
    PasswordErased,
    UserUnknown,
)
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story

OPERATOR = Caller(correlation_id="command", operator="grace")

CHANGES = {
    "set_password": lambda story, user_id, **how: story.set_password(
        user_id, "another long one", OPERATOR, **how
    ),
    "erase_password": lambda story, user_id, **how: story.erase_password(user_id, OPERATOR, **how),
}


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


@pytest.mark.parametrize("change", ["set_password", "erase_password"])
async def test_an_account_that_is_handed_over_starts_without_sessions_apps_and_grants(
    story, client, ada, tokens, change
):
    held = await story.sign_in(EMAIL, PASSWORD, CALLER)
    unredeemed = await story.code(client, ada)
    await CHANGES[change](story, ada.user_id)
    assert await story.find_browser_session(held.cookie) is None
    assert await story.list_connected_apps(ada.user_id) == ()
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)
    with pytest.raises(GrantIsRevoked):
        await story.refreshes(client, tokens)
    with pytest.raises(ConsentWithdrawnSince):
        await story.redeems(client, unredeemed)


@pytest.mark.parametrize("change", ["set_password", "erase_password"])
async def test_every_event_of_a_handover_is_the_operators_act(ledger, story, ada, tokens, change):
    before = len(ledger.log)
    await CHANGES[change](story, ada.user_id)
    acts = ledger.log[before:]
    assert [type(act.event) for act in acts[2:]] == [ConsentWithdrawn, GrantRevoked]
    assert acts[-1].event.reason == "revoked_by_operator"
    assert {(act.by.actor_kind, act.by.actor_id) for act in acts} == {("operator", OPERATOR.operator)}


@pytest.mark.parametrize("change", ["set_password", "erase_password"])
async def test_an_operator_may_keep_the_apps(story, ada, tokens, change):
    held = await story.sign_in(EMAIL, PASSWORD, CALLER)
    await CHANGES[change](story, ada.user_id, keep_apps=True)
    assert await story.find_browser_session(held.cookie) is None
    assert await story.looks_up(tokens)


async def test_after_an_outage_a_second_call_completes_a_handover(ledger, story, ada, tokens):
    class Failing(InterleavingLedger):
        failing = True

        async def consents(self, user_id, *, after=None, limit=200):
            if self.failing:
                raise Unavailable("the test says so")
            return await super().consents(user_id, after=after, limit=limit)

    failing = Failing(ledger)
    again = Story(failing, outside=story.outside)
    with pytest.raises(Unavailable):
        await again.set_password(ada.user_id, "another long one", OPERATOR)
    failing.failing = False
    await again.set_password(ada.user_id, "another long one", OPERATOR)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)


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


@pytest.mark.parametrize(
    ("password", "refusal"),
    [("short", PasswordTooShort), ("letmeinletmein", PasswordTooCommon), (EMAIL, PasswordIsAddress)],
)
async def test_an_operator_sets_no_unfit_password(ledger, story, ada, password, refusal):
    with nothing_recorded(ledger), pytest.raises(refusal):
        await story.set_password(ada.user_id, password, CALLER)


async def test_an_unknown_user_is_refused(ledger, story):
    with nothing_recorded(ledger):
        with pytest.raises(UserUnknown):
            await story.enable_user("glu_unknown", CALLER)
        with pytest.raises(UserUnknown):
            await story.erase_password("glu_unknown", CALLER)
        with pytest.raises(UserUnknown):
            await story.set_password("glu_unknown", "long enough for all", CALLER)
        with pytest.raises(UserUnknown):
            await story.set_name("glu_unknown", "Ada", CALLER)


async def test_an_operator_changes_and_erases_the_name_that_apps_get(ledger, story, ada):
    for name, kept in (("Ada Lovelace", "Ada Lovelace"), ("", None)):
        await story.set_name(ada.user_id, name, OPERATOR)
        assert await ledger.value(ada.user_id, "name") == kept
        assert ledger.log[-1].event == NameChanged(changed_at=story.clock.now())
        assert ledger.log[-1].by == by_operator(OPERATOR)


async def test_a_name_that_no_account_may_have_is_not_set(ledger, story, ada):
    with nothing_recorded(ledger), pytest.raises(NameInvalid):
        await story.set_name(ada.user_id, "a\nb", OPERATOR)
