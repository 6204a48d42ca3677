from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller
from grantledger.application.throttling import GuessLimit
from grantledger.domain.digests import digest
from grantledger.domain.resource import (
    ALL_RESOURCES,
    ID_PREFIX,
    RESOURCES,
    HeldResource,
    ResourceAuthenticationFailed,
    Resources,
    ResourceUnknown,
)


def names_a_resource(credentials: ClientCredentials) -> bool:
    """Whether the id is that of a resource's server, not that of a client."""
    return credentials.client_id.startswith(ID_PREFIX)


class AuthenticateResource:
    """Authenticate the server of a resource by the id and secret that an operator gave it."""

    def __init__(self, ledger: Ledger, guesses: GuessLimit, clock: Clock) -> None:
        self._ledger = ledger
        self._guesses = guesses
        self._clock = clock

    async def __call__(self, credentials: ClientCredentials, caller: Caller) -> HeldResource:
        """Return the resource. Raises `ResourceAuthenticationFailed` or `TooManyGuesses`.

        Each call reads the ledger, so a secret that was replaced or removed is refused at once.
        """
        if not credentials.secret:  # does not count as a guess
            raise ResourceAuthenticationFailed("there is no secret in the request")
        held = (await self._ledger.load(RESOURCES, ALL_RESOURCES)).state or Resources()
        # Nothing is awaited here: parallel requests with the right secret must not use up the guesses.
        with self._guesses.guess(credentials.client_id, caller.address):
            try:
                found = held.with_id(credentials.client_id)
            except ResourceUnknown as unknown:
                raise ResourceAuthenticationFailed(str(unknown)) from unknown
            found.authenticate(digest(credentials.secret), now=self._clock.now())
            return found
