"""Clients in any state, folded from the events that lead to it."""

from typing import Any

from msgspec.structs import replace

from grantledger.domain.client_metadata import ClientMetadata
from grantledger.domain.client_registration import (
    AccessTokensLimited,
    ClientApprovalWithdrawn,
    ClientApproved,
    ClientDeleted,
    ClientDisabled,
    ClientEnabled,
    ClientRegistered,
    ClientSecretRotated,
    Event,
    evolve,
)
from grantledger.domain.client_registration import ClientRegistration as Client

HTTPS = "https://client.example/callback"
LOOPBACK = "http://127.0.0.1:33418/callback"

METADATA = ClientMetadata(
    redirect_uris=(HTTPS,),
    token_endpoint_auth_method="none",
    grant_types=("authorization_code", "refresh_token"),
    response_types=("code",),
    application_type="web",
    scope="openid",
    client_name="Notes for editors",
)
REGISTERED = ClientRegistered(client_id="glc_editor", metadata=METADATA, registered_at=1_000)
DISABLED = ClientDisabled(disabled_at=1_100)
ENABLED = ClientEnabled(enabled_at=1_120)
APPROVED = ClientApproved(approved_at=1_140)
APPROVAL_WITHDRAWN = ClientApprovalWithdrawn(withdrawn_at=1_160)
LIMITED = AccessTokensLimited(lifetime=300, limited_at=1_180)
ROTATED = ClientSecretRotated(secret_digest="new digest", previous_until=5_190, rotated_at=1_190)
DELETED = ClientDeleted(deleted_at=1_200)


def a_client(
    *after: Event, redirect_uris: tuple[str, ...] = (HTTPS,), secret_digest: str | None = None
) -> Client:
    """Return the client after its registration and the events `after`."""
    metadata = replace(METADATA, redirect_uris=redirect_uris)
    client = evolve(None, replace(REGISTERED, metadata=metadata, secret_digest=secret_digest))
    for event in after:
        client = evolve(client, event)
    return client


def metadata_like(**members: Any) -> ClientMetadata:
    """Return the metadata of the usual client, with these members replaced."""
    return replace(METADATA, **members)
