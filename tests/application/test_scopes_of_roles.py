"""Scopes that need a role: what a user may grant, and what is left of it when the role is revoked."""

import msgspec
import pytest
from msgspec.structs import replace

from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import AskForConsent
from grantledger.application.ports import AccessTokenClaims
from grantledger.domain.authorization_request import ConsentDenied, SentBack
from grantledger.domain.consent import ConsentGiven
from grantledger.domain.role import Role, Roles, RolesAllowNoScope
from grantledger.domain.token_grant import GrantRefreshed
from support.policies import POLICY, a_policy
from support.storage import InterruptedLedger, nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story

BOTH, WRITE, READ = "openid notes:read notes:write", "notes:write", ("openid", "notes:read")
EDITOR = Role(name="editor", permissions=("pages:write",), scopes=(WRITE,))
ROLES = Roles((EDITOR, Role(name="admin", permissions=("users:ban",))))
POLICY_OF_ROLES = a_policy(roles=ROLES, server_scopes=(*POLICY.server_scopes, "roles"))


@pytest.fixture
def story(ledger) -> Story:
    return Story(ledger, POLICY_OF_ROLES)


@pytest.fixture
async def editor(story, ada):
    """Ada's browser session; she has the role."""
    await story.grant_role(ada.user_id, "editor", CALLER)
    return ada


async def page_for(story, client, session, **parameters):
    return await story.resume_authorization(await story.asks(client, session, **parameters), session, CALLER)


# consent


async def test_consent_offers_only_what_the_roles_of_the_user_allow(story, client, ada):
    asked = await page_for(story, client, ada, scope=BOTH)
    assert isinstance(asked, AskForConsent)
    assert asked.scopes == READ
    await story.grant_role(ada.user_id, "editor", CALLER)
    assert (await page_for(story, client, ada, scope=BOTH)).scopes == (*READ, WRITE)


async def test_consent_and_code_hold_only_what_the_roles_of_the_user_allow(ledger, story, client, ada):
    tokens = await story.tokens(client, ada, scope=BOTH)
    (given,) = [each.event for each in ledger.log if isinstance(each.event, ConsentGiven)]
    assert (given.scopes, tokens.scopes) == (READ, READ)


@pytest.mark.parametrize("prompt", [None, "none"])
async def test_a_request_for_scopes_of_other_roles_only_is_invalid_scope(ledger, story, client, ada, prompt):
    with nothing_recorded(ledger), pytest.raises(SentBack) as sent:
        await page_for(story, client, ada, scope=WRITE, prompt=prompt)
    assert isinstance(sent.value.cause, RolesAllowNoScope)
    assert sent.value.needs_click


async def test_a_role_that_is_granted_while_the_page_is_open_adds_no_scope(story, client, ada):
    """Fails if a user consents to a scope that the page did not show."""
    request = await story.asks(client, ada, scope=BOTH)
    shown = (await story.resume_authorization(request, ada, CALLER)).scopes
    await story.grant_role(ada.user_id, "editor", CALLER)
    issued = await story.give_consent(request, ada, allowed=True, caller=CALLER, shown=shown)
    assert (await story.redeems(client, issued.code)).scopes == READ


async def test_a_role_that_is_revoked_while_the_page_is_open_takes_its_scope(story, client, editor):
    request = await story.asks(client, editor, scope=BOTH)
    shown = (await story.resume_authorization(request, editor, CALLER)).scopes
    await story.revoke_role(editor.user_id, "editor", CALLER)
    issued = await story.give_consent(request, editor, allowed=True, caller=CALLER, shown=shown)
    assert (await story.redeems(client, issued.code)).scopes == READ


async def test_consent_to_no_scope_of_the_request_is_a_denial(ledger, story, client, ada):
    request = await story.asks(client, ada, scope=BOTH)
    with nothing_recorded(ledger), pytest.raises(SentBack) as sent:
        await story.give_consent(request, ada, allowed=True, caller=CALLER, shown=("email",))
    assert isinstance(sent.value.cause, ConsentDenied)


async def test_a_refusal_after_allow_needs_no_second_click(story, client, editor):
    request = await story.asks(client, editor, scope=WRITE)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    with pytest.raises(SentBack) as sent:
        await story.allows(request, editor)
    assert not sent.value.needs_click


async def test_a_remembered_consent_gives_no_scope_of_a_revoked_role(story, client, editor):
    await story.code(client, editor, scope=BOTH)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    issued = await page_for(story, client, editor, scope=BOTH)
    assert isinstance(issued, IssuedCode)
    assert (await story.redeems(client, issued.code)).scopes == READ


async def test_the_page_lists_no_scope_of_a_revoked_role_as_allowed_before(story, client, editor):
    await story.code(client, editor, scope=BOTH)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    asked = await page_for(story, client, editor, scope=f"{BOTH} email")
    assert (asked.scopes, asked.allowed_before) == ((*READ, "email"), READ)


async def test_a_remembered_consent_counts_again_with_the_role(story, client, editor):
    await story.code(client, editor, scope=BOTH)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    await story.grant_role(editor.user_id, "editor", CALLER)
    issued = await page_for(story, client, editor, scope=BOTH)
    assert isinstance(issued, IssuedCode)
    assert (await story.redeems(client, issued.code)).scopes == (*READ, WRITE)


# codes and refreshes


async def test_a_code_in_flight_gives_no_scope_of_a_revoked_role(story, client, editor):
    code = await story.code(client, editor, scope=BOTH)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    assert (await story.redeems(client, code)).scopes == READ


async def test_a_code_without_any_scope_left_is_refused_and_not_consumed(ledger, story, client, editor):
    code = await story.code(client, editor, scope=WRITE)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    with nothing_recorded(ledger), pytest.raises(RolesAllowNoScope):
        await story.redeems(client, code)
    await story.grant_role(editor.user_id, "editor", CALLER)
    assert (await story.redeems(client, code)).scopes == (WRITE,)


async def test_the_next_refresh_has_no_scope_of_a_revoked_role(ledger, story, client, editor):
    tokens = await story.tokens(client, editor, scope=BOTH)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    refreshed = await story.refreshes(client, tokens)
    assert refreshed.scopes == READ
    assert isinstance(ledger.log[-1].event, GrantRefreshed)
    assert ledger.log[-1].event.scopes == READ


async def test_a_refresh_has_the_scope_again_once_the_role_is_back(story, client, editor):
    tokens = await story.tokens(client, editor, scope=BOTH)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    tokens = await story.refreshes(client, tokens)
    await story.grant_role(editor.user_id, "editor", CALLER)
    assert (await story.refreshes(client, tokens)).scopes == (*READ, WRITE)


async def test_a_refresh_refused_for_lack_of_a_role_succeeds_with_the_role(ledger, story, client, editor):
    tokens = await story.tokens(client, editor, scope=WRITE)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    with nothing_recorded(ledger), pytest.raises(RolesAllowNoScope):
        await story.refreshes(client, tokens)
    await story.grant_role(editor.user_id, "editor", CALLER)
    assert (await story.refreshes(client, tokens)).scopes == (WRITE,)


@pytest.mark.parametrize("changes", [("grant_role", "revoke_role"), ("revoke_role", "grant_role")])
async def test_a_retry_across_a_change_of_roles_gets_the_same_pair(ledger, story, client, editor, changes):
    before, since = (getattr(story, change) for change in changes)
    tokens = await story.tokens(client, editor, scope=BOTH)
    await before(editor.user_id, "editor", CALLER)
    first = await story.refreshes(client, tokens)
    await since(editor.user_id, "editor", CALLER)
    with nothing_recorded(ledger):
        again = await story.refreshes(client, tokens)
    assert (again.access_token, again.refresh_token) == (first.access_token, first.refresh_token)


async def test_a_role_that_is_revoked_during_a_refresh_takes_its_scope(ledger, story, client, editor):
    """Fails if a refresh is recorded although the roles that it read have changed."""
    tokens = await story.tokens(client, editor, scope=BOTH)
    racing = InterruptedLedger(ledger, lambda: story.revoke_role(editor.user_id, "editor", CALLER))
    refreshed = await Story(racing, POLICY_OF_ROLES, story.outside).refreshes(client, tokens)
    assert racing.conflicts == 1
    assert refreshed.scopes == READ


# sessions and tokens


async def test_a_session_names_roles_and_permissions(story, client, editor):
    await story.grant_role(editor.user_id, "admin", CALLER)
    session = await story.looks_up(await story.tokens(client, editor, scope=BOTH))
    assert (session.roles, session.permissions) == (("admin", "editor"), ("pages:write", "users:ban"))
    assert session.claims["roles"] == ["admin", "editor"]
    assert session.claims["permissions"] == ["pages:write", "users:ban"]


async def test_a_session_of_a_user_without_roles_has_no_roles_claim(story, client, ada):
    session = await story.looks_up(await story.tokens(client, ada))
    assert (session.roles, session.permissions) == ((), ())
    assert not {"roles", "permissions"} & set(session.claims)


async def test_a_revoked_role_is_gone_from_the_very_next_look_up(story, client, editor):
    tokens = await story.tokens(client, editor, scope=BOTH)
    assert (await story.looks_up(tokens)).scopes == (*READ, WRITE)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    session = await story.looks_up(tokens)
    assert (session.scopes, session.roles, session.permissions) == (READ, (), ())
    assert session.claims["scope"] == " ".join(READ)


async def test_a_session_without_any_scope_left_is_refused(story, client, editor):
    tokens = await story.tokens(client, editor, scope=WRITE)
    await story.revoke_role(editor.user_id, "editor", CALLER)
    with pytest.raises(RolesAllowNoScope):
        await story.looks_up(tokens)


async def test_a_role_that_was_removed_from_the_settings_is_in_no_session(ledger, story, client, editor):
    tokens = await story.tokens(client, editor, scope=BOTH)
    session = await Story(ledger, POLICY, story.outside).looks_up(tokens)
    assert (session.roles, session.permissions) == ((), ())


@pytest.fixture
def of_jwts(ledger, story) -> Story:
    """The same server, which issues JWTs."""
    resources = (replace(POLICY.resources[0], jwt="ES256"), POLICY.resources[1])
    return Story(ledger, replace(POLICY_OF_ROLES, resources=resources), story.outside)


def claims_in(token: str) -> AccessTokenClaims:
    return msgspec.json.decode(token.split("|", 2)[2], type=AccessTokenClaims)


async def test_a_jwt_names_roles_and_permissions_of_when_it_was_issued(of_jwts, client, editor):
    tokens = await of_jwts.tokens(client, editor, scope=BOTH)
    claims = claims_in(tokens.access_token)
    assert (claims.roles, claims.permissions) == (("editor",), ("pages:write",))
    await of_jwts.revoke_role(editor.user_id, "editor", CALLER)
    refreshed = claims_in((await of_jwts.refreshes(client, tokens)).access_token)
    assert (refreshed.roles, refreshed.permissions, refreshed.scope) == ((), (), " ".join(READ))


async def test_a_look_up_of_a_jwt_takes_roles_from_the_ledger_not_the_token(of_jwts, client, editor):
    tokens = await of_jwts.tokens(client, editor, scope=BOTH)
    await of_jwts.revoke_role(editor.user_id, "editor", CALLER)
    session = await of_jwts.looks_up(tokens)
    assert (session.scopes, session.roles, session.permissions) == (READ, (), ())


async def test_a_jwt_of_a_user_without_roles_has_no_roles_claim(of_jwts, client, ada):
    tokens = await of_jwts.tokens(client, ada)
    assert "roles" not in tokens.access_token
    assert "permissions" not in tokens.access_token


# the scope `roles`


async def test_userinfo_and_id_token_name_roles_only_with_the_scope_roles(story, client, editor):
    signed = story.outside.id_token_signer.signed
    for scope, roles, permissions in (
        ("openid", None, None),
        ("openid roles", ("editor",), ("pages:write",)),
    ):
        tokens = await story.tokens(client, editor, scope=scope)
        described = await story.describe_user(tokens.access_token)
        assert (described.roles, described.permissions) == (roles, permissions)
        assert (signed[-1].roles, signed[-1].permissions) == (roles, permissions)


async def test_an_id_token_has_no_claim_of_a_scope_that_was_withheld_meanwhile(ledger, story, client):
    needs_role = Roles((Role(name="staff", scopes=("email",)),))
    story = Story(ledger, a_policy(roles=needs_role), story.outside)
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    await story.grant_role(user_id, "staff", CALLER)
    code = await story.code(client, await story.signs_in(), scope="openid email")
    await story.revoke_role(user_id, "staff", CALLER)
    await story.redeems(client, code)
    assert story.outside.id_token_signer.signed[-1].email is None


def test_the_metadata_name_the_claims_of_the_scope_roles(story):
    assert {"roles", "permissions"} <= set(story.describe_server.authorization_server().claims_supported)
