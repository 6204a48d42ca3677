import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.role import (
    HeldRoles,
    Role,
    Roles,
    RolesAllowNoScope,
    RoleUnknown,
    checked_permission,
    checked_role,
)

READ, WRITE, DELETE, OPENID = "notes:read", "notes:write", "notes:delete", "openid"
ROLES = Roles(
    (
        Role(name="editor", permissions=("pages:write", "pages:read"), scopes=(WRITE,)),
        Role(name="admin", permissions=("pages:read", "users:ban"), scopes=(WRITE, DELETE)),
        Role(name="guest"),
    )
)


@pytest.mark.parametrize(
    ("held", "permissions"),
    [
        ((), ()),
        (("guest",), ()),
        (("editor",), ("pages:read", "pages:write")),
        (("admin", "editor"), ("pages:read", "pages:write", "users:ban")),
        (("editor", "admin"), ("pages:read", "pages:write", "users:ban")),
    ],
)
def test_a_user_has_the_permissions_of_every_role_once(held, permissions):
    assert ROLES.held(held).permissions == permissions


@pytest.mark.parametrize(
    ("held", "allowed"),
    [
        ((), (OPENID, READ)),
        (("guest",), (OPENID, READ)),
        (("editor",), (OPENID, READ, WRITE)),
        (("admin",), (OPENID, READ, WRITE, DELETE)),
    ],
)
def test_a_scope_that_roles_list_needs_one_of_these_roles(held, allowed):
    assert ROLES.held(held).left_of((OPENID, READ, WRITE, DELETE)) == allowed


def test_without_roles_in_the_settings_every_user_may_grant_every_scope():
    assert Roles().held(("editor",)).left_of((WRITE, DELETE)) == (WRITE, DELETE)


def test_a_request_for_withheld_scopes_alone_is_refused():
    with pytest.raises(RolesAllowNoScope):
        ROLES.held(("editor",)).left_of((DELETE,))


def test_a_role_that_the_settings_do_not_have_gives_nothing():
    """Fails if a role that was removed from the settings still reaches resource servers."""
    assert ROLES.held(("retired",)) == HeldRoles(withheld=frozenset({WRITE, DELETE}))


def test_the_refusal_of_an_unknown_role_lists_the_known_ones():
    ROLES.check_known("editor")
    with pytest.raises(RoleUnknown, match="'edtior' in the settings; they have admin, editor, guest"):
        ROLES.check_known("edtior")
    with pytest.raises(RoleUnknown, match="they have no roles"):
        Roles().check_known("editor")


@pytest.mark.parametrize("name", ["editor", "a", "Team-7", "tenant:editor", "a" * 64])
def test_a_usable_role_name_is_accepted(name):
    assert checked_role(name) == name


@pytest.mark.parametrize("name", ["", "-editor", "two words", "ä", "a" * 65, "editor\n", "a,b"])
def test_a_name_that_lists_and_commands_cannot_hold_is_refused(name):
    with pytest.raises(ValueError, match="role "):
        checked_role(name)


@pytest.mark.parametrize("permission", ["todo:write", "files/*", "*", "a" * 100])
def test_a_usable_permission_is_accepted(permission):
    assert checked_permission(permission) == permission


@pytest.mark.parametrize("permission", ["", "two words", 'a"b', "a\\b", "ä", "a" * 101])
def test_a_permission_that_a_header_cannot_hold_is_refused(permission):
    with pytest.raises(ValueError, match="permission "):
        checked_permission(permission)


NAMES = st.sampled_from(["a", "b", "c"])
SOME_SCOPES = st.lists(st.sampled_from(["w", "x", "y", "z"]), unique=True).map(tuple)


@given(
    tables=st.dictionaries(NAMES, SOME_SCOPES),
    held=st.lists(NAMES, unique=True).map(tuple),
    asked=SOME_SCOPES,
)
def test_every_grantable_scope_is_unlisted_or_in_a_role_of_the_user(tables, held, asked):
    roles = Roles(Role(name=name, scopes=scopes) for name, scopes in tables.items())
    allowed = tuple(
        scope
        for scope in asked
        if not any(scope in scopes for scopes in tables.values())
        or any(scope in tables.get(name, ()) for name in held)
    )
    if asked and not allowed:
        with pytest.raises(RolesAllowNoScope):
            roles.held(held).left_of(asked)
    else:
        assert roles.held(held).left_of(asked) == allowed
