"""A registered client, its authentication and its status (RFC 7591)."""

import hmac
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind
from grantledger.domain.client_metadata import ClientMetadata
from grantledger.domain.refusal import Refusal


class ClientRegistered(Struct, frozen=True, kw_only=True, array_like=True, tag="client.registered.v1"):
    """A client registered. After a deletion, the same id has a new registration."""

    client_id: str
    metadata: ClientMetadata
    registered_at: int
    secret_digest: str | None = None


class ClientDisabled(Struct, frozen=True, kw_only=True, array_like=True, tag="client.disabled.v1"):
    """An operator disabled the client, which refuses all its grants."""

    disabled_at: int


class ClientEnabled(Struct, frozen=True, kw_only=True, array_like=True, tag="client.enabled.v1"):
    """An operator enabled the client again, with its grants that are still valid."""

    enabled_at: int


class ClientApproved(Struct, frozen=True, kw_only=True, array_like=True, tag="client.approved.v1"):
    """An operator vouches for this registration of the client.

    If it has a secret, its remembered consents count on loopback too. The consent page does not warn of it.
    """

    approved_at: int


class ClientApprovalWithdrawn(
    Struct, frozen=True, kw_only=True, array_like=True, tag="client.approval_withdrawn.v1"
):
    """An operator withdrew the approval of the client."""

    withdrawn_at: int


class ClientDeleted(Struct, frozen=True, kw_only=True, array_like=True, tag="client.deleted.v1"):
    """The client was deleted with its grants. It may register again, but gets none of them back.

    An operator deleted it, or the server did because it was never used.
    """

    deleted_at: int


class AccessTokensLimited(
    Struct, frozen=True, kw_only=True, array_like=True, tag="client.access_tokens_limited.v1"
):
    """An operator limited the lifetime of this registration's access tokens, in seconds.

    Without `lifetime`, the client has no limit of its own any more.
    """

    lifetime: int | None
    limited_at: int


class ClientSecretRotated(Struct, frozen=True, kw_only=True, array_like=True, tag="client.secret_rotated.v1"):
    """An operator replaced the secret of the client. The previous one is accepted until `previous_until`."""

    secret_digest: str
    previous_until: int
    rotated_at: int


Event = (
    ClientRegistered
    | ClientDisabled
    | ClientEnabled
    | ClientApproved
    | ClientApprovalWithdrawn
    | ClientDeleted
    | AccessTokensLimited
    | ClientSecretRotated
)


class ClientUnknown(Refusal):
    """No such client, or the client was deleted."""


class ClientIsDisabled(Refusal):
    """An operator has disabled the client."""


class ClientAuthenticationFailed(Refusal):
    """The client secret is missing or wrong, or a public client sent one."""


class ClientHasNoSecret(Refusal):
    """A public client has no secret to replace."""


class ClientRegistration(Struct, frozen=True, kw_only=True):
    """A client as it is registered now.

    `registration` counts the registrations of this client id. A grant is for one registration, so a client
    that was deleted and registers again does not get its old grants back.
    """

    client_id: str
    registration: int
    metadata: ClientMetadata
    registered_at: int
    secret_digest: str | None = None
    disabled: bool = False
    approved: bool = False
    deleted: bool = False
    access_token_lifetime: int | None = None
    previous_digest: str = ""
    previous_until: int = 0

    @property
    def is_public(self) -> bool:
        """Whether the client has no secret (OAuth 2.1 section 2.1)."""
        return self.secret_digest is None

    @property
    def refreshes(self) -> bool:
        """Whether the client gets refresh tokens."""
        return "refresh_token" in self.metadata.grant_types

    def authenticate(self, presented_digest: str | None, *, now: int) -> None:
        """Raise `ClientAuthenticationFailed` unless the digest is that of a secret that is accepted now.

        A public client must not present a secret, because there is nothing to check it against.
        """
        if self.secret_digest is None:
            if presented_digest is not None:
                raise ClientAuthenticationFailed("a public client presented a secret")
            return
        accepted = [self.secret_digest]
        if now < self.previous_until:
            accepted.append(self.previous_digest)
        if presented_digest is None or not any(
            hmac.compare_digest(digest, presented_digest) for digest in accepted
        ):
            raise ClientAuthenticationFailed("the client secret is missing or wrong")

    def check_usable(self, registration: int | None = None) -> None:
        """Raise `ClientUnknown` or `ClientIsDisabled` unless the client, in this registration, may act."""
        if self.deleted or registration not in (None, self.registration):
            raise ClientUnknown(self.client_id)
        if self.disabled:
            raise ClientIsDisabled(self.client_id)

    @property
    def may_be_pruned(self) -> bool:
        """Whether the client may be deleted if unused. It may not if an operator has decided about it."""
        decided = (
            self.disabled
            or self.approved
            or self.access_token_lifetime is not None
            or self.previous_until > 0  # its secret was replaced
        )
        return not (self.deleted or decided)

    def disable(self, *, now: int) -> tuple[Event, ...]:
        """Refuse the client and all its grants from now on."""
        return () if self.disabled or self.deleted else (ClientDisabled(disabled_at=now),)

    def enable(self, *, now: int) -> tuple[Event, ...]:
        """Accept a disabled client again, with its grants that are still valid."""
        return (ClientEnabled(enabled_at=now),) if self.disabled and not self.deleted else ()

    def approve(self, *, now: int) -> tuple[Event, ...]:
        """Vouch for this registration, but not for a later one with the same id."""
        return () if self.approved or self.deleted else (ClientApproved(approved_at=now),)

    def withdraw_approval(self, *, now: int) -> tuple[Event, ...]:
        return (ClientApprovalWithdrawn(withdrawn_at=now),) if self.approved and not self.deleted else ()

    def limit_access_tokens(self, lifetime: int | None, *, now: int) -> tuple[Event, ...]:
        """Limit the lifetime of access tokens, in seconds; None removes the client's own limit.

        Tokens that were issued keep their expiry.
        """
        if self.deleted or lifetime == self.access_token_lifetime:
            return ()
        return (AccessTokensLimited(lifetime=lifetime, limited_at=now),)

    def rotate_secret(self, *, secret_digest: str, overlap: int, now: int) -> tuple[Event, ...]:
        """Replace the secret; the previous secret is accepted for `overlap` more seconds.

        Raises `ClientHasNoSecret`, and `ClientUnknown` for a deleted client.
        """
        if self.deleted:
            raise ClientUnknown(self.client_id)
        if self.is_public:
            raise ClientHasNoSecret(f"the client {self.client_id!r} is public: it has no secret")
        rotated = ClientSecretRotated(
            secret_digest=secret_digest, previous_until=now + overlap, rotated_at=now
        )
        return (rotated,)

    def delete(self, *, now: int) -> tuple[Event, ...]:
        """Delete the client with its grants. It may register again, but gets none of them back."""
        return () if self.deleted else (ClientDeleted(deleted_at=now),)


def register(
    client: ClientRegistration | None,
    *,
    client_id: str,
    metadata: ClientMetadata,
    secret_digest: str | None,
    now: int,
) -> tuple[Event, ...]:
    """Register a client. Returns no events if the same client is registered already.

    Raises `ClientIsDisabled`: registering again must not undo an operator's decision.
    """
    if client is not None and not client.deleted:
        client.check_usable()
        return ()
    return (
        ClientRegistered(
            client_id=client_id, metadata=metadata, secret_digest=secret_digest, registered_at=now
        ),
    )


def evolve(client: ClientRegistration | None, event: Event) -> ClientRegistration:
    match event:
        case ClientRegistered():
            return ClientRegistration(
                client_id=event.client_id,
                registration=client.registration + 1 if client else 1,
                metadata=event.metadata,
                registered_at=event.registered_at,
                secret_digest=event.secret_digest,
            )
        case ClientDisabled():
            assert client is not None
            return replace(client, disabled=True)
        case ClientEnabled():
            assert client is not None
            return replace(client, disabled=False)
        case ClientApproved():
            assert client is not None
            return replace(client, approved=True)
        case ClientApprovalWithdrawn():
            assert client is not None
            return replace(client, approved=False)
        case ClientDeleted():
            assert client is not None
            return replace(client, deleted=True)
        case AccessTokensLimited():
            assert client is not None
            return replace(client, access_token_lifetime=event.lifetime)
        case ClientSecretRotated():
            assert client is not None
            return replace(
                client,
                secret_digest=event.secret_digest,
                previous_digest=client.secret_digest or "",
                previous_until=event.previous_until,
            )
        case _:
            assert_never(event)


CLIENT: Kind[ClientRegistration] = Kind(
    category="client",
    state=ClientRegistration,
    events=(
        ClientRegistered,
        ClientDisabled,
        ClientEnabled,
        ClientApproved,
        ClientApprovalWithdrawn,
        ClientDeleted,
        AccessTokensLimited,
        ClientSecretRotated,
    ),
    evolve=evolve,
)
