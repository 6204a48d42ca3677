"""Clients, users and grants as operators name them."""

from contextlib import suppress

from grantledger.application.email_address import EmailInvalid, normalized
from grantledger.domain.client_registration import CLIENT, ClientRegistration
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
    """Return the id of the user with that id or e-mail address. Raises `UserNotFound`."""
    return (await found_user(container, name)).user_id


async def found_user(container: Container, name: str) -> UserAccount:
    """Return the user with that id or e-mail address. Raises `UserNotFound`."""
    user_id = await named_user(container, name) if "@" in name else name
    found = (await container.ledger().load(USER, user_id)).state
    if found is None:
        raise UserNotFound(f"there is no user {name!r}")
    return found


async def named_user(container: Container, email: str) -> str:
    """Return the id of the user with that e-mail address. Raises `UserNotFound`."""
    with suppress(EmailInvalid):
        if user_id := await container.ledger().find("email", normalized(email)):
            return user_id
    raise UserNotFound(f"there is no user {email!r}")


class EmailAddresses:
    """E-mail addresses of users, each unsealed once."""

    def __init__(self, container: Container) -> None:
        self._ledger = container.ledger()
        self._known: dict[str, str | None] = {}

    async def of(self, user_id: str) -> str | None:
        if user_id not in self._known:
            self._known[user_id] = await self._ledger.value(user_id, "email")
        return self._known[user_id]
