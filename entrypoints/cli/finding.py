"""Clients, users and grants as operators name them."""

from contextlib import suppress

from msgspec import Struct

from grantledger.application.accounts.admit_host_user import HOST_USER
from grantledger.domain.client_registration import CLIENT, ClientRegistration
from grantledger.domain.email_address import EmailInvalid, normalized
from grantledger.domain.token_grant import GRANT, TokenGrant
from grantledger.domain.user_account import USER, UserAccount
from grantledger.entrypoints.cli.failures import ClientNotFound, GrantNotFound, UserNotFound
from grantledger.entrypoints.container import Container


async def found_client(container: Container, client_id: str) -> ClientRegistration:
    """Return the client, also one that is disabled or deleted. Raises `ClientNotFound`."""
    found = (await container.ledger().load(CLIENT, client_id)).state
    if found is None:
        raise ClientNotFound(f"there is no client {client_id!r}")
    return found


async def found_grant(container: Container, grant_id: str) -> TokenGrant:
    """Return the grant, also one that is revoked. Raises `GrantNotFound`."""
    found = (await container.ledger().load(GRANT, grant_id)).state
    if found is None:
        raise GrantNotFound(f"there is no grant {grant_id!r}")
    return found


async def user_id_of(container: Container, name: str) -> str:
    """Return the id of the user that `found_user` finds. Raises `UserNotFound`."""
    return (await found_user(container, name)).user_id


async def found_user(container: Container, name: str) -> UserAccount:
    """Return the user with that id, or whom `named_user` names. Raises `UserNotFound`."""
    ledger = container.ledger()
    found = (await ledger.load(USER, name)).state
    if found is None:
        found = (await ledger.load(USER, await named_user(container, name))).state
    if found is None:
        raise UserNotFound(f"there is no user {name!r}")
    return found


async def named_user(container: Container, name: str) -> str:
    """Return the id of the user with that e-mail address, or else host's id. Raises `UserNotFound`."""
    ledger = container.ledger()
    user_id = None
    with suppress(EmailInvalid):
        user_id = await ledger.find("email", normalized(name))
    user_id = user_id or await ledger.find(HOST_USER, name)
    if user_id is None:
        raise UserNotFound(f"there is no user {name!r}")
    return user_id


class KnownAs(Struct, frozen=True):
    """What people know a user by: one of the built-in identity, or one of a host application. Both may be
    erased.
    """

    email: str | None
    host_user_id: str | None

    @property
    def name(self) -> str | None:
        return self.email or self.host_user_id


class UserNames:
    """What people know users by, each unsealed once."""

    def __init__(self, container: Container) -> None:
        self._ledger = container.ledger()
        self._known: dict[str, KnownAs] = {}

    async def of(self, user_id: str) -> KnownAs:
        if user_id not in self._known:
            self._known[user_id] = KnownAs(
                email=await self._ledger.value(user_id, "email"),
                host_user_id=await self._ledger.value(user_id, HOST_USER),
            )
        return self._known[user_id]
