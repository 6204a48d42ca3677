"""A client: who may ask for access, and how it proves that it is itself (RFC 7591)."""

import hmac
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind
from grantledger.domain.client_metadata import ClientMetadata
from grantledger.domain.refusal import Refusal


class ClientRegistered(Struct, frozen=True, kw_only=True, tag="client.registered.v1"):
    """A client told who it is and where it is answered.

    After a deletion it is the next registration of the same id.
    """

    client_id: str
    metadata: ClientMetadata
    registered_at: int
    secret_digest: str | None = None


class ClientDisabled(Struct, frozen=True, kw_only=True, tag="client.disabled.v1"):
    """An operator refuses the client, with every grant that it has."""

    disabled_at: int


class ClientEnabled(Struct, frozen=True, kw_only=True, tag="client.enabled.v1"):
    """An operator lets a disabled client go on, with those of its grants that are still good."""

    enabled_at: int


class ClientApproved(Struct, frozen=True, kw_only=True, tag="client.approved.v1"):
    """An operator vouches for this registration of the client.

    Its consents may be remembered, and the consent page does not call it unchecked.
    """

    approved_at: int


class ClientApprovalWithdrawn(Struct, frozen=True, kw_only=True, tag="client.approval_withdrawn.v1"):
    """No operator vouches for the client any more."""

    withdrawn_at: int


class ClientDeleted(Struct, frozen=True, kw_only=True, tag="client.deleted.v1"):
    """The client is forgotten. It may register anew, without what it was granted."""

    deleted_at: int


Event = (
    ClientRegistered
    | ClientDisabled
    | ClientEnabled
    | ClientApproved
    | ClientApprovalWithdrawn
    | ClientDeleted
)


class ClientUnknown(Refusal):
    """No such client, or it was deleted."""


class ClientIsDisabled(Refusal):
    """An operator has disabled the client."""


class ClientAuthenticationFailed(Refusal):
    """The client did not prove that it is itself."""


class ClientRegistration(Struct, frozen=True, kw_only=True):
    """A client as it is registered now.

    `registration` counts how often this client id was registered: what was granted to a client
    before it was deleted is not granted to the one that registers under the same id later.
    """

    client_id: str
    registration: int
    metadata: ClientMetadata
    registered_at: int
    secret_digest: str | None = None
    disabled: bool = False
    approved: bool = False
    deleted: bool = False

    @property
    def is_public(self) -> bool:
        """Whether the client has no secret of its own (OAuth 2.1 section 2.1)."""
        return self.secret_digest is None

    def authenticate(self, presented_digest: str | None) -> None:
        """Raise `ClientAuthenticationFailed` unless the digest of the presented secret is the client's.

        A public client must present none: a secret that cannot be checked proves nothing.
        """
        if self.secret_digest is None:
            if presented_digest is not None:
                raise ClientAuthenticationFailed("a public client presented a secret")
        elif presented_digest is None or not hmac.compare_digest(self.secret_digest, presented_digest):
            raise ClientAuthenticationFailed("the client secret is missing or wrong")

    def check_usable(self, registration: int | None = None) -> None:
        """Raise `ClientUnknown` or `ClientIsDisabled` unless the client may act, as that registration."""
        if self.deleted or registration not in (None, self.registration):
            raise ClientUnknown(self.client_id)
        if self.disabled:
            raise ClientIsDisabled(self.client_id)

    def disable(self, *, now: int) -> tuple[Event, ...]:
        """Refuse the client from now on; its grants are refused with it."""
        return () if self.disabled or self.deleted else (ClientDisabled(disabled_at=now),)

    def enable(self, *, now: int) -> tuple[Event, ...]:
        """Let a disabled client go on, with those of its grants that are still good."""
        return (ClientEnabled(enabled_at=now),) if self.disabled and not self.deleted else ()

    def approve(self, *, now: int) -> tuple[Event, ...]:
        """Remember that an operator vouches for this registration, not for one under the same id later."""
        return () if self.approved or self.deleted else (ClientApproved(approved_at=now),)

    def withdraw_approval(self, *, now: int) -> tuple[Event, ...]:
        return (ClientApprovalWithdrawn(withdrawn_at=now),) if self.approved and not self.deleted else ()

    def delete(self, *, now: int) -> tuple[Event, ...]:
        """Forget the client; it may register anew, without what it was granted."""
        return () if self.deleted else (ClientDeleted(deleted_at=now),)


def register(
    client: ClientRegistration | None,
    *,
    client_id: str,
    metadata: ClientMetadata,
    secret_digest: str | None,
    now: int,
) -> tuple[Event, ...]:
    """Register a client, or nothing when the same client is there already.

    Raises `ClientIsDisabled`: registering again must not undo what an operator did.
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
    ),
    evolve=evolve,
)
