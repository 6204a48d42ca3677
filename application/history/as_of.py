"""A client, a user or a grant as of a moment in the past."""

from msgspec import Struct

from grantledger.application.ports import PastReader
from grantledger.domain.client_metadata import ClientMetadata
from grantledger.domain.client_registration import CLIENT, ClientIsDisabled, ClientRegistration, ClientUnknown
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import (
    GRANT,
    Access,
    GrantHasExpired,
    GrantIsRevoked,
    TokenGrant,
)
from grantledger.domain.user_account import USER, UserAccount, UserIsDisabled


class PastClient(Struct, frozen=True, kw_only=True):
    """A client as of a moment. `status` is active, disabled or deleted."""

    client_id: str
    version: int
    status: str
    registration: int
    registered_at: int
    is_public: bool
    metadata: ClientMetadata


class ReadClientAsOf:
    """Read a client as of a moment in the past."""

    def __init__(self, past: PastReader) -> None:
        self._past = past

    async def __call__(self, client_id: str, moment: int) -> PastClient | None:
        """Return the client at `moment`, in microseconds since 1970, or None if it did not exist yet."""
        found = await self._past.load_as_of(CLIENT, client_id, moment)
        client = found.state
        if client is None:
            return None
        return PastClient(
            client_id=client_id,
            version=found.version,
            status="deleted" if client.deleted else "disabled" if client.disabled else "active",
            registration=client.registration,
            registered_at=client.registered_at,
            is_public=client.is_public,
            metadata=client.metadata,
        )


class PastUser(Struct, frozen=True, kw_only=True):
    """A user as of a moment. `status` is active or disabled."""

    user_id: str
    version: int
    status: str
    opened_at: int
    roles: tuple[str, ...]


class ReadUserAsOf:
    """Read a user as of a moment in the past."""

    def __init__(self, past: PastReader) -> None:
        self._past = past

    async def __call__(self, user_id: str, moment: int) -> PastUser | None:
        """Return the user at `moment`, in microseconds since 1970, or None if there was no account yet."""
        found = await self._past.load_as_of(USER, user_id, moment)
        user = found.state
        if user is None:
            return None
        return PastUser(
            user_id=user_id,
            version=found.version,
            status="disabled" if user.disabled else "active",
            opened_at=user.opened_at,
            roles=user.roles,
        )


_MICROSECONDS = 1_000_000

_STATUSES: dict[type[Refusal], str] = {
    GrantIsRevoked: "revoked",
    GrantHasExpired: "expired",
    ClientUnknown: "client deleted",
    ClientIsDisabled: "client disabled",
    UserIsDisabled: "user disabled",
}


class PastGrant(Struct, frozen=True, kw_only=True):
    """A grant as of a moment. Times are seconds since 1970, UTC.

    `status` is "live", or the first reason for refusing all its tokens: revoked, expired, client deleted,
    client disabled, user disabled. `access` is what the newest access token gave access to.
    """

    grant_id: str
    version: int
    status: str
    client_id: str
    client_registration: int
    user_id: str
    consented: Access
    access: Access
    generation: int
    opened_at: int
    issued_at: int
    access_expires_at: int
    access_token_live: bool
    refresh_expires_at: int | None
    refresh_token_live: bool
    expires_at: int | None
    revoked: str | None


class ReadGrantAsOf:
    """Read a grant as of a moment in the past. That moment also decides whether it has expired."""

    def __init__(self, past: PastReader) -> None:
        self._past = past

    async def __call__(self, grant_id: str, moment: int) -> PastGrant | None:
        """Return the grant at `moment`, in microseconds since 1970, or None if it did not exist yet."""
        found = await self._past.load_as_of(GRANT, grant_id, moment)
        grant = found.state
        if grant is None:
            return None
        client = await self._past.load_as_of(CLIENT, grant.client_id, moment)
        user = await self._past.load_as_of(USER, grant.user_id, moment)
        now = moment // _MICROSECONDS
        status = _status(grant, client.state, user.state, now)
        is_live = status == "live"
        return PastGrant(
            grant_id=grant_id,
            version=found.version,
            status=status,
            client_id=grant.client_id,
            client_registration=grant.client_registration,
            user_id=grant.user_id,
            consented=grant.consented,
            access=grant.current,
            generation=grant.generation,
            opened_at=grant.opened_at,
            issued_at=grant.issued_at,
            access_expires_at=grant.access_expires_at,
            access_token_live=is_live
            and now < grant.access_expires_at
            and grant.generation > grant.access_revoked_through,
            refresh_expires_at=grant.refresh_expires_at,
            refresh_token_live=is_live
            and grant.refresh_expires_at is not None
            and now < grant.refresh_expires_at,
            expires_at=grant.expires_at,
            revoked=grant.revoked,
        )


def _status(grant: TokenGrant, client: ClientRegistration | None, user: UserAccount | None, now: int) -> str:
    """Return the status, checked in the same order as a token: the grant, then its client, then its user."""
    try:
        grant.check_alive(now=now)
        if not grant.is_usable(now=now):
            raise GrantHasExpired
        if client is None:
            raise ClientUnknown
        client.check_usable(grant.client_registration)
        if user is None:
            raise UserIsDisabled
        user.check_usable()
    except Refusal as refusal:
        return _STATUSES[type(refusal)]
    return "live"
