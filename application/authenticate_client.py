from msgspec import Struct

from grantledger.application.ports import Ledger
from grantledger.application.secrets import digest
from grantledger.domain.client_registration import CLIENT, ClientRegistration, ClientUnknown


class ClientCredentials(Struct, frozen=True, kw_only=True):
    """Who a client says it is, and the secret it shows for it, if any."""

    client_id: str
    secret: str | None = None


class AuthenticateClient:
    """Establish which client is calling (OAuth 2.1 section 2.4): first at every endpoint clients call."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def __call__(self, credentials: ClientCredentials) -> ClientRegistration:
        """Return the client. Raises `ClientUnknown` or `ClientAuthenticationFailed`.

        A disabled client is itself all the same: what it is refused depends on what it asks.
        """
        client = (await self._ledger.load(CLIENT, credentials.client_id)).state
        if client is None or client.deleted:
            raise ClientUnknown(credentials.client_id)
        client.authenticate(digest(credentials.secret) if credentials.secret else None)
        return client
