import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.user_account import (
    AccountDisabled,
    AccountOpened,
    Event,
    PasswordChanged,
    RoleGranted,
    RoleRevoked,
    SessionsEnded,
    TooManyRoles,
    UserAccount,
    UserIsDisabled,
    evolve,
)

OPENED = AccountOpened(user_id="glu_ada", opened_at=1_000)
DISABLED = AccountDisabled(disabled_at=1_100)


def a_user(*after: Event) -> UserAccount:
    user = evolve(None, OPENED)
    for event in after:
        user = evolve(user, event)
    return user


def test_an_opened_account_may_act():
    a_user().check_usable()


def test_an_account_names_its_user_and_opening_time():
    assert (a_user().user_id, a_user().opened_at) == ("glu_ada", 1_000)


def test_disabling_records_the_time():
    assert a_user().disable(now=1_100) == (DISABLED,)


def test_a_disabled_account_is_refused():
    with pytest.raises(UserIsDisabled):
        a_user(DISABLED).check_usable()


def test_disabling_twice_records_one_event():
    assert a_user(DISABLED).disable(now=1_200) == ()


def test_ending_the_sessions_begins_a_new_epoch():
    ended = SessionsEnded(session_epoch=1, ended_at=1_200)
    assert a_user().end_sessions(now=1_200) == (ended,)
    assert a_user(ended).end_sessions(now=1_300) == (SessionsEnded(session_epoch=2, ended_at=1_300),)


def test_changing_the_password_ends_every_session():
    changed = a_user().change_password(now=1_200)
    assert changed == (PasswordChanged(changed_at=1_200), SessionsEnded(session_epoch=1, ended_at=1_200))


EDITOR = RoleGranted(role="editor", granted_at=1_100)


def test_a_granted_role_is_recorded_with_its_time():
    assert a_user().grant_role("editor", now=1_100) == (EDITOR,)


def test_the_roles_of_a_user_are_in_alphabetical_order():
    """Fails if the order of granting matters: a cache has one entry for each set of roles."""
    assert a_user(EDITOR, RoleGranted(role="admin", granted_at=1_200)).roles == ("admin", "editor")


def test_granting_a_role_twice_records_one_event():
    assert a_user(EDITOR).grant_role("editor", now=1_200) == ()


def test_revoking_a_role_leaves_the_others():
    user = a_user(EDITOR, RoleGranted(role="admin", granted_at=1_200))
    revoked = user.revoke_role("admin", now=1_300)
    assert revoked == (RoleRevoked(role="admin", revoked_at=1_300),)
    assert evolve(user, *revoked).roles == ("editor",)


def test_revoking_a_role_that_the_user_does_not_have_records_nothing():
    assert a_user(EDITOR).revoke_role("admin", now=1_200) == ()


def test_a_user_has_32_roles_at_most():
    granted = [RoleGranted(role=f"role-{number}", granted_at=1_100) for number in range(32)]
    assert a_user(*granted[:31]).grant_role("last", now=1_200)
    with pytest.raises(TooManyRoles):
        a_user(*granted).grant_role("one too many", now=1_200)


@given(changes=st.lists(st.tuples(st.sampled_from(["grant_role", "revoke_role"]), st.sampled_from("abc"))))
def test_roles_are_a_set_whatever_the_order_of_changes(changes):
    user, expected = a_user(), set[str]()
    for change, role in changes:
        events = getattr(user, change)(role, now=1_100)
        assert bool(events) == ((role in expected) != (change == "grant_role"))
        expected = expected | {role} if change == "grant_role" else expected - {role}
        for event in events:
            user = evolve(user, event)
    assert user.roles == tuple(sorted(expected))
