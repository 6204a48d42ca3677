from grantledger.application.clients.register_client import NewClient
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, Randomness
from grantledger.application.provenance import Caller, by_operator
from grantledger.domain.aggregate import Versioned
from grantledger.domain.client_metadata import RedirectUriInvalid, RegistrationRequest, effective_metadata
from grantledger.domain.client_registration import CLIENT, ClientRegistration, register
from grantledger.domain.digests import digest


class AddClient:
    """Register a confidential client as an operator, even if registration is closed, and approve it.

    Some clients, such as Claude's connectors, have fields for an id and a secret. The operator vouches for
    the client, so it is approved, and is not deleted while it is unused.
    """

    def __init__(self, ledger: Ledger, clock: Clock, randomness: Randomness, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._clock = clock
        self._randomness = randomness
        self._policy = policy

    async def __call__(
        self, request: RegistrationRequest, caller: Caller, *, access_token_lifetime: int | None = None
    ) -> NewClient:
        """Return the client and its secret.

        `access_token_lifetime` is in seconds, and shortens the lifetime that the server sets.
        Raises `RedirectUriForbidden`, `ClientMetadataInvalid`, and `RedirectUriInvalid` if any redirect URI
        is not allowed.
        """
        metadata = effective_metadata(request, self._policy.registration)
        dropped = [uri for uri in request.redirect_uris or () if uri not in metadata.redirect_uris]
        # A client that registers itself may also send URIs that it never uses. An operator does not.
        if dropped:
            raise RedirectUriInvalid(f"{dropped[0]!r} is not allowed for a client with a secret")
        assert metadata.token_endpoint_auth_method != "none", "a public client registers itself"
        client_id = self._randomness.token("glc_", size=24)
        secret = self._randomness.token("glcs_")
        now = self._clock.now()
        empty: Versioned[ClientRegistration] = Versioned(kind=CLIENT, key=client_id)
        registered = register(
            None, client_id=client_id, metadata=metadata, secret_digest=digest(secret), now=now
        )
        client = empty.then(registered).state
        assert client is not None
        change = empty.then(
            (
                *registered,
                *client.approve(now=now),
                *client.limit_access_tokens(access_token_lifetime, now=now),
            )
        )
        await self._ledger.record([change], by_operator(caller))
        assert change.state is not None
        return NewClient(client=change.state, secret=secret, redirect_uris=metadata.redirect_uris)
