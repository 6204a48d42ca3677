from msgspec import Struct

from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller
from grantledger.application.throttling import GuessLimit
from grantledger.domain.client_registration import CLIENT, ClientRegistration, ClientUnknown
from grantledger.domain.digests import digest


class ClientCredentials(Struct, frozen=True, kw_only=True):
    """The client id that a request claims, and the client secret if it sent one."""

    client_id: str
    secret: str | None = None


class AuthenticateClient:
    """Authenticate the client (OAuth 2.1 section 2.4), before anything else at each endpoint for clients."""

    def __init__(self, ledger: Ledger, guesses: GuessLimit, clock: Clock) -> None:
        self._ledger = ledger
        self._guesses = guesses
        self._clock = clock

    async def __call__(
        self, credentials: ClientCredentials, caller: Caller, loaded: ClientRegistration | None = None
    ) -> ClientRegistration:
        """Return the client. Raises `ClientUnknown`, `ClientAuthenticationFailed` or `TooManyGuesses`.

        `loaded` is a client that was already read. If the credentials name this client, it is not read again.
        A disabled client is authenticated like any other: the caller decides what it may still do.
        """
        if loaded is None or loaded.client_id != credentials.client_id:
            loaded = (await self._ledger.load(CLIENT, credentials.client_id)).state
        if not credentials.secret:  # no guess
            return _authenticated(credentials, loaded, now=self._clock.now())
        # Nothing is awaited here: parallel requests with the right secret must not use up the guesses.
        with self._guesses.guess(credentials.client_id, caller.address):
            return _authenticated(credentials, loaded, now=self._clock.now())


def _authenticated(
    credentials: ClientCredentials, client: ClientRegistration | None, *, now: int
) -> ClientRegistration:
    if client is None or client.deleted:
        raise ClientUnknown(credentials.client_id)
    client.authenticate(digest(credentials.secret) if credentials.secret else None, now=now)
    return client
