"""One short history for each kind of aggregate, in which every event of it happens."""

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.authorization_code import CodeRedeemed, CodeReplayed
from grantledger.domain.browser_session import SignedIn, SignedOut
from grantledger.domain.consent import ConsentGiven, ConsentWithdrawn
from grantledger.domain.kinds import KINDS, tag_of
from grantledger.domain.master_secrets import SecretActivated, SecretAdded, SecretRetired
from grantledger.domain.registration_tokens import RegistrationTokenAdded, RegistrationTokenRevoked
from grantledger.domain.resource import ResourceAdded, ResourceRemoved, ResourceSecretRotated
from grantledger.domain.signing_keys import KeyActivated, KeyRetired, begin
from grantledger.domain.token_grant import (
    AccessTokenSigned,
    AccessTokensRevoked,
    GrantRefreshed,
    GrantRevoked,
    RefreshRetriedElsewhere,
    RefreshTokenReused,
)
from grantledger.domain.user_account import (
    AccountDisabled,
    AccountEnabled,
    AccountOpened,
    NameChanged,
    PasswordChanged,
    PasswordErased,
    RoleGranted,
    RoleRevoked,
    SessionsEnded,
    SignInsFailed,
)
from support import clients, codes, grants, signing_keys

_REFRESHED = GrantRefreshed(
    generation=1,
    resource=grants.RESOURCE,
    scopes=grants.ONLY_READ.scopes,
    key_id="key-2",
    refreshed_at=1_010,
    access_expires_at=4_610,
    refresh_expires_at=605_810,
)
REFRESHED_ELSEWHERE = replace(_REFRESHED, network="a7Hq0xLw2Zc")
"""A refresh from another network than before."""

_HISTORIES: dict[str, tuple[Struct, ...]] = {
    "client": (
        clients.REGISTERED,
        clients.DISABLED,
        clients.ENABLED,
        clients.APPROVED,
        clients.APPROVAL_WITHDRAWN,
        clients.LIMITED,
        clients.ROTATED,
        clients.DELETED,
    ),
    "code": (
        codes.ISSUED,
        CodeRedeemed(grant_id="grant", redeemed_at=1_001),
        CodeReplayed(grant_id="grant", replayed_at=1_002),
    ),
    "grant": (
        grants.OPENED,
        _REFRESHED,
        AccessTokenSigned(kid="kid-1"),
        RefreshRetriedElsewhere(generation=0, retried_at=1_015),
        AccessTokensRevoked(through_generation=0, revoked_at=1_020),
        RefreshTokenReused(generation=0, reused_at=1_100),
        GrantRevoked(reason="refresh_token_reused", revoked_at=1_100),
    ),
    "consent": (
        ConsentGiven(
            user_id="glu_ada",
            client_id="glc_editor",
            client_registration=1,
            redirect_host="client.example",
            resource=grants.RESOURCE,
            scopes=("openid",),
            given_at=1_000,
        ),
        ConsentWithdrawn(withdrawn_at=1_100),
    ),
    "user": (
        AccountOpened(user_id="glu_ada", opened_at=1_000),
        PasswordChanged(changed_at=1_050),
        SessionsEnded(session_epoch=1, ended_at=1_050),
        PasswordErased(erased_at=1_060),
        NameChanged(changed_at=1_070),
        SessionsEnded(session_epoch=2, ended_at=1_060),
        AccountDisabled(disabled_at=1_100),
        AccountEnabled(enabled_at=1_120),
        SignInsFailed(failures=3, since=1_130, counted_at=1_140),
        RoleGranted(role="editor", granted_at=1_150),
        RoleGranted(role="admin", granted_at=1_160),
        RoleRevoked(role="editor", revoked_at=1_170),
    ),
    "signin": (
        SignedIn(
            session_id="session",
            user_id="glu_ada",
            secret_digest="digest",
            signed_in_at=1_000,
            expires_at=2_000,
        ),
        SignedOut(signed_out_at=1_100),
    ),
    "keys": (
        *begin(signing_keys.FIRST, signing_keys.SECOND, now=1_000),
        KeyRetired(kid="kid-1", retired_at=5_000, published_until=8_900),
        KeyActivated(kid="kid-2", activated_at=5_000),
    ),
    "secrets": (
        SecretAdded(key_id="0a1b2c3d", added_at=1_000),
        SecretActivated(key_id="0a1b2c3d", activated_at=1_060),
        SecretRetired(key_id="9f8e7d6c", retired_at=2_000, live_grants=0),
    ),
    "regtokens": (
        RegistrationTokenAdded(token_id="aG9tZS1h", name="ci", secret_digest="digest", added_at=1_000),
        RegistrationTokenAdded(token_id="b2ZmaWNl", name="team-a", secret_digest="digest", added_at=1_100),
        RegistrationTokenRevoked(token_id="aG9tZS1h", revoked_at=2_000),
    ),
    "resources": (
        ResourceAdded(
            resource_id="glr_files",
            identifier="https://files.example/mcp",
            name="Files",
            scopes=("files:read",),
            in_settings=False,
            secret_digest="digest",
            added_at=1_000,
        ),
        ResourceAdded(
            resource_id="glr_mcp",
            identifier=grants.RESOURCE,
            name="",
            scopes=(),
            in_settings=True,
            secret_digest="digest",
            added_at=1_100,
        ),
        ResourceSecretRotated(
            resource_id="glr_files", secret_digest="new digest", previous_until=5_100, rotated_at=1_500
        ),
        ResourceRemoved(resource_id="glr_mcp", removed_at=2_000),
    ),
}


def every_event(category: str) -> tuple[Struct, ...]:
    return _HISTORIES[category]


def example(tag: str) -> Struct:
    """Return an event with that tag."""
    return next(event for kind in KINDS for event in every_event(kind) if tag_of(event) == tag)
