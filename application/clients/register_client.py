from msgspec import Struct

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, Randomness
from grantledger.application.provenance import Caller, by_client
from grantledger.application.retry import retry_on_conflict
from grantledger.application.throttling import RegistrationLimit
from grantledger.domain.aggregate import Versioned
from grantledger.domain.client_metadata import RegistrationRequest, effective_metadata, metadata_digest
from grantledger.domain.client_registration import CLIENT, ClientRegistration, register
from grantledger.domain.digests import digest
from grantledger.domain.registration_tokens import (
    REGISTRATION,
    REGISTRATION_TOKENS,
    RegistrationTokenRefused,
    RegistrationTokens,
)


class NewClient(Struct, frozen=True, kw_only=True):
    """A registered client with its secret, which is stored only as a digest.

    `redirect_uris` are those that this request sent. If the client was registered before, its stored loopback
    URIs may have other ports.
    """

    client: ClientRegistration
    secret: str | None
    redirect_uris: tuple[str, ...]


class RegisterClient:
    """Register a client (RFC 7591 section 3): any client, or only one with a registration token.

    The id of a public client is derived from its metadata: registering the same metadata again, even with
    another port of a loopback redirect URI, returns the same client and records nothing. A confidential
    client gets a new id each time.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        randomness: Randomness,
        policy: ServerPolicy,
        limit: RegistrationLimit,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._randomness = randomness
        self._policy = policy.registration
        self._mode = policy.registration_mode
        self._limit = limit

    async def __call__(
        self, request: RegistrationRequest, caller: Caller, *, token: str | None = None
    ) -> NewClient:
        """Return the client with all its effective metadata. `token` is the registration token that was sent.

        Raises `RegistrationTokenRefused`, `RedirectUriForbidden`, `RedirectUriInvalid`,
        `ClientMetadataInvalid`, `ClientIsDisabled`, and `TooManyRegistrations`, but not for a client that is
        registered already.
        """
        if self._mode == "closed":
            raise RegistrationTokenRefused("registration is closed")
        return await retry_on_conflict(lambda: self._register(request, caller, token))

    async def _register(self, request: RegistrationRequest, caller: Caller, token: str | None) -> NewClient:
        asserted = [(await self._checked(token)).unchanged()] if self._mode == "token" else []
        metadata = effective_metadata(request, self._policy)
        if metadata.token_endpoint_auth_method == "none":
            # 162 bits, so that an attacker cannot find other metadata with the id of an existing client.
            client_id, secret = f"glc_{metadata_digest(metadata)[:27]}", None
        else:
            client_id, secret = self._randomness.token("glc_", size=24), self._randomness.token("glcs_")
        before = await self._ledger.load(CLIENT, client_id)
        events = register(
            before.state,
            client_id=client_id,
            metadata=metadata,
            secret_digest=digest(secret) if secret else None,
            now=self._clock.now(),
        )
        change = before.then(events)
        if events:
            with self._limit.registration(caller.address):
                await self._ledger.record([change, *asserted], by_client(client_id, caller))
        assert change.state is not None
        return NewClient(client=change.state, secret=secret, redirect_uris=metadata.redirect_uris)

    async def _checked(self, token: str | None) -> Versioned[RegistrationTokens]:
        """Return all valid registration tokens. Raises `RegistrationTokenRefused` if this is none of them."""
        tokens = await self._ledger.load(REGISTRATION_TOKENS, REGISTRATION)
        (tokens.state or RegistrationTokens()).check(digest(token) if token else None)
        return tokens
