"""Which events an aggregate may record in which state, for the check of whole logs."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from grantledger.domain import authorization_code as code
from grantledger.domain import browser_session as session
from grantledger.domain import client_registration as client
from grantledger.domain import consent, resource
from grantledger.domain import master_secrets as secret
from grantledger.domain import registration_tokens as regtoken
from grantledger.domain import signing_keys as key
from grantledger.domain import token_grant as grant
from grantledger.domain import user_account as user
from grantledger.domain.refusal import Refusal
from grantledger.domain.resource_indicator import Resource, same


def is_decided(state: Any, event: Struct) -> bool:
    """Whether a decision of the aggregate may record the event in this state. None is before the first."""
    if isinstance(event, FIRST):
        return state is None
    rule = RULES[type(event)]
    if state is None and type(event) not in _ALSO_FIRST:
        return False
    try:
        found = rule(state, event)
    except Refusal:
        return False
    return found if isinstance(found, bool) else event in found


FIRST = (code.CodeIssued, grant.GrantOpened, user.AccountOpened, session.SignedIn)
"""Events that begin a stream, and are never in one that has begun."""

_ALSO_FIRST = {
    client.ClientRegistered,
    consent.ConsentGiven,
    key.KeyCreated,
    secret.SecretAdded,
    secret.SecretActivated,
    secret.SecretRetired,
    regtoken.RegistrationTokenAdded,
    resource.ResourceAdded,
}
"""Events that may begin a stream."""

Rule = Callable[[Any, Any], bool | tuple[Struct, ...]]
"""Decides again at the event's time: returns the events of the decision, or whether it would be recorded."""


def _given(state: consent.Consent | None, event: consent.ConsentGiven) -> tuple[Struct, ...]:
    asked = consent.Asked(
        client_registration=event.client_registration,
        redirect_host=event.redirect_host,
        resource=event.resource,
        scopes=event.scopes,
    )
    return consent.give(state, asked, user_id=event.user_id, client_id=event.client_id, now=event.given_at)


def _refreshed(state: grant.TokenGrant, event: grant.GrantRefreshed) -> bool:
    state.check_alive(now=event.refreshed_at)
    return (
        event.generation == state.generation + 1
        and state.refresh_expires_at is not None
        and event.refreshed_at < state.refresh_expires_at
        and same(event.resource, state.consented.resource)
        and set(event.scopes) <= set(state.consented.scopes)
    )


def _retried(state: grant.TokenGrant, event: grant.RefreshRetriedElsewhere) -> bool:
    state.check_alive(now=event.retried_at)
    return event.generation < state.generation and event.generation not in state.retried_elsewhere


def _reused(state: grant.TokenGrant, event: grant.RefreshTokenReused) -> bool:
    state.check_alive(now=event.reused_at)
    return event.generation < state.generation


def _registered(
    state: client.ClientRegistration | None, event: client.ClientRegistered
) -> tuple[Struct, ...]:
    return client.register(
        state,
        client_id=event.client_id,
        metadata=event.metadata,
        secret_digest=event.secret_digest,
        now=event.registered_at,
    )


def _rotated(state: client.ClientRegistration, event: client.ClientSecretRotated) -> tuple[Struct, ...]:
    overlap = event.previous_until - event.rotated_at
    return state.rotate_secret(secret_digest=event.secret_digest, overlap=overlap, now=event.rotated_at)


def _resource_added(state: resource.Resources | None, event: resource.ResourceAdded) -> tuple[Struct, ...]:
    return (state or resource.Resources()).add(
        Resource(event.identifier, event.name, event.scopes, event.access_token_expires_in, event.jwt),
        configured=(event.identifier,) if event.in_settings else (),
        resource_id=event.resource_id,
        secret_digest=event.secret_digest,
        now=event.added_at,
    )


def _resource_rotated(state: resource.Resources, event: resource.ResourceSecretRotated) -> tuple[Struct, ...]:
    return state.rotate_secret(
        event.resource_id,
        secret_digest=event.secret_digest,
        overlap=event.previous_until - event.rotated_at,
        now=event.rotated_at,
    )


def _token_added(
    state: regtoken.RegistrationTokens | None, event: regtoken.RegistrationTokenAdded
) -> tuple[Struct, ...]:
    return (state or regtoken.RegistrationTokens()).add(
        token_id=event.token_id, name=event.name, secret_digest=event.secret_digest, now=event.added_at
    )


def _status(state: key.SigningKeys | None, kid: str) -> str | None:
    return next((one.status for one in (state.keys if state else ()) if one.kid == kid), None)


def _sealing(state: secret.MasterSecretHistory | None) -> str | None:
    return state.sealing if state else None


RULES: dict[type[Struct], Rule] = {
    client.ClientRegistered: _registered,
    client.ClientDisabled: lambda state, event: state.disable(now=event.disabled_at),
    client.ClientEnabled: lambda state, event: state.enable(now=event.enabled_at),
    client.ClientApproved: lambda state, event: state.approve(now=event.approved_at),
    client.ClientApprovalWithdrawn: lambda state, event: state.withdraw_approval(now=event.withdrawn_at),
    client.ClientDeleted: lambda state, event: state.delete(now=event.deleted_at),
    client.AccessTokensLimited: lambda state, event: state.limit_access_tokens(
        event.lifetime, now=event.limited_at
    ),
    client.ClientSecretRotated: _rotated,
    code.CodeRedeemed: lambda state, event: state.grant_id is None and event.redeemed_at < state.expires_at,
    code.CodeReplayed: lambda state, event: event.grant_id == state.grant_id and not state.replayed,
    grant.GrantRefreshed: _refreshed,
    grant.AccessTokenSigned: lambda state, _: state.revoked is None and state.signing_key is None,
    grant.RefreshRetriedElsewhere: _retried,
    grant.RefreshTokenReused: _reused,
    grant.AccessTokensRevoked: lambda state, event: state.revoke_access(
        generation=event.through_generation, now=event.revoked_at
    ),
    grant.GrantRevoked: lambda state, event: state.revoke(event.reason, now=event.revoked_at),
    consent.ConsentGiven: _given,
    consent.ConsentWithdrawn: lambda state, event: state.withdraw(now=event.withdrawn_at),
    user.AccountDisabled: lambda state, event: state.disable(now=event.disabled_at),
    user.AccountEnabled: lambda state, event: state.enable(now=event.enabled_at),
    user.PasswordChanged: lambda state, event: state.change_password(now=event.changed_at),
    user.PasswordErased: lambda state, event: state.erase_password(now=event.erased_at),
    user.NameChanged: lambda state, event: state.change_name(now=event.changed_at),
    user.SessionsEnded: lambda state, event: state.end_sessions(now=event.ended_at),
    user.SignInsFailed: lambda state, event: state.count_failures(
        event.failures, since=event.since, now=event.counted_at
    ),
    user.RoleGranted: lambda state, event: state.grant_role(event.role, now=event.granted_at),
    user.RoleRevoked: lambda state, event: state.revoke_role(event.role, now=event.revoked_at),
    session.SignedOut: lambda state, event: state.sign_out(now=event.signed_out_at),
    key.KeyCreated: lambda state, event: _status(state, event.kid) is None,
    key.KeyActivated: lambda state, event: _status(state, event.kid) == "next",
    key.KeyRetired: lambda state, event: _status(state, event.kid) in ("active", "next", "retired"),
    secret.SecretAdded: lambda state, event: _sealing(state) != event.key_id,
    secret.SecretActivated: lambda state, event: _sealing(state) != event.key_id,
    secret.SecretRetired: lambda *_: True,  # what it depends on is in the settings and in private records
    regtoken.RegistrationTokenAdded: _token_added,
    regtoken.RegistrationTokenRevoked: lambda state, event: state.revoke(
        event.token_id, now=event.revoked_at
    ),
    resource.ResourceAdded: _resource_added,
    resource.ResourceSecretRotated: _resource_rotated,
    resource.ResourceRemoved: lambda state, event: state.remove(event.resource_id, now=event.removed_at),
}
