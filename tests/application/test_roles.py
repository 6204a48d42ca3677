"""Roles of users: what an operator grants and revokes."""

import pytest

from grantledger.application.provenance import Caller, by_operator
from grantledger.domain.role import Role, Roles, RoleUnknown
from grantledger.domain.user_account import USER, RoleGranted, RoleRevoked, TooManyRoles, UserUnknown
from support.policies import a_policy
from support.storage import nothing_recorded
from support.story import Story

OPERATOR = Caller(correlation_id="command", operator="grace")
EDITOR = Role(name="editor", permissions=("pages:write",), scopes=("notes:write",))
ADMIN = Role(name="admin", permissions=("users:ban",), scopes=("notes:write",))


@pytest.fixture
def story(ledger) -> Story:
    return Story(ledger, a_policy(roles=Roles((EDITOR, ADMIN))))


async def roles_of(story, user_id):
    return (await story.ledger.load(USER, user_id)).state.roles


async def test_a_role_is_granted_and_revoked_by_an_operator(ledger, story, ada):
    await story.grant_role(ada.user_id, "editor", OPERATOR)
    assert ledger.log[-1].event == RoleGranted(role="editor", granted_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(OPERATOR)
    assert await roles_of(story, ada.user_id) == ("editor",)
    await story.revoke_role(ada.user_id, "editor", OPERATOR)
    assert ledger.log[-1].event == RoleRevoked(role="editor", revoked_at=story.clock.now())
    assert ledger.log[-1].by == by_operator(OPERATOR)
    assert await roles_of(story, ada.user_id) == ()


@pytest.mark.parametrize("change", ["grant_role", "revoke_role"])
async def test_a_change_that_was_made_before_records_nothing(ledger, story, ada, change):
    for role in ("editor", "admin"):
        await story.grant_role(ada.user_id, role, OPERATOR)
    await getattr(story, change)(ada.user_id, "editor", OPERATOR)
    with nothing_recorded(ledger):
        await getattr(story, change)(ada.user_id, "editor", OPERATOR)


@pytest.mark.parametrize("change", ["grant_role", "revoke_role"])
async def test_a_role_that_is_misspelt_is_refused(ledger, story, ada, change):
    with nothing_recorded(ledger), pytest.raises(RoleUnknown, match="they have admin, editor"):
        await getattr(story, change)(ada.user_id, "edtior", OPERATOR)


@pytest.mark.parametrize("change", ["grant_role", "revoke_role"])
async def test_roles_of_an_unknown_user_are_refused(ledger, story, change):
    with nothing_recorded(ledger), pytest.raises(UserUnknown):
        await getattr(story, change)("glu_unknown", "editor", OPERATOR)


async def test_a_role_that_was_removed_from_the_settings_can_be_revoked(ledger, story, ada):
    await story.grant_role(ada.user_id, "editor", OPERATOR)
    later = Story(ledger, a_policy(roles=Roles((ADMIN,))), story.outside)
    await later.revoke_role(ada.user_id, "editor", OPERATOR)
    assert await roles_of(story, ada.user_id) == ()


async def test_one_role_too_many_is_refused(ledger, ada, story):
    many = Roles(Role(name=f"role-{number}") for number in range(33))
    story = Story(ledger, a_policy(roles=many), story.outside)
    for number in range(32):
        await story.grant_role(ada.user_id, f"role-{number}", OPERATOR)
    with nothing_recorded(ledger), pytest.raises(TooManyRoles):
        await story.grant_role(ada.user_id, "role-32", OPERATOR)
