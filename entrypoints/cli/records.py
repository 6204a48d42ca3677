"""What commands tell of clients, users and grants. Times are seconds since 1970, UTC."""

from typing import Any

import msgspec

from grantledger.domain.authorization_request import counts_when_remembered
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.token_grant import TokenGrant
from grantledger.domain.user_account import UserAccount
from grantledger.entrypoints.cli.finding import KnownAs

Record = dict[str, Any]


def client_record(client: ClientRegistration) -> Record:
    metadata = msgspec.to_builtins(client.metadata)
    return {
        "client_id": client.client_id,
        "status": _client_status(client),
        "approved": client.approved,
        "public": client.is_public,
        "registered_at": client.registered_at,
        "registration": client.registration,
        **metadata,
        "remembered_consent": {
            uri: counts_when_remembered(client, uri) for uri in client.metadata.redirect_uris
        },
    }


def user_record(user: UserAccount, known_as: KnownAs) -> Record:
    return {
        "user_id": user.user_id,
        "email": known_as.email,
        "host_user_id": known_as.host_user_id,
        "status": "disabled" if user.disabled else "active",
        "opened_at": user.opened_at,
    }


def grant_record(grant_id: str, grant: TokenGrant, *, now: int) -> Record:
    return {
        "grant_id": grant_id,
        "client_id": grant.client_id,
        "user_id": grant.user_id,
        "status": _grant_status(grant, now=now),
        "resource": grant.consented.resource,
        "scopes": grant.consented.scopes,
        "opened_at": grant.opened_at,
        "refreshed_at": grant.issued_at if grant.generation else None,
        "generation": grant.generation,
        "access_expires_at": grant.access_expires_at,
        "refresh_expires_at": grant.refresh_expires_at,
        "expires_at": grant.expires_at,
        "key_id": grant.key_id,
    }


def _client_status(client: ClientRegistration) -> str:
    if client.deleted:
        return "deleted"
    return "disabled" if client.disabled else "active"


def _grant_status(grant: TokenGrant, *, now: int) -> str:
    """Of the grant itself: its client or its user may be disabled beside that."""
    if grant.revoked is not None:
        return f"revoked ({grant.revoked.removeprefix('revoked_').replace('_', ' ')})"
    return "live" if grant.is_usable(now=now) else "expired"
