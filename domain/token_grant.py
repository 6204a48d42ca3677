"""One consented authorization: its refresh tokens by generation, narrowing, reuse and revocation.

A refresh, where `n` is the current generation (`TokenGrant.refresh`):

| presented token | when | result |
|---|---|---|
| any | grant revoked or expired | refused, nothing changes |
| n, or older within the reuse window | the request is invalid in itself | the same refusal, nothing changes |
| n | grant alive | generation n+1 |
| older than n | within the reuse window, same scope and resource | the current tokens, for a retry |
| older than n | within the reuse window, other scope or resource | refused, nothing revoked |
| older than n | after the reuse window, whatever it asks for | refused as a reuse, grant revoked |

The first row that fits applies. The reuse window of a generation begins when the next generation supersedes
it. A request is invalid in itself if it names a foreign resource, an invalid scope, or more combinations of
scopes and resource than a grant can hold. In a retry, scopes that need a role are not compared: the user may
have got or lost the role since. The second row keeps a thief from learning by invalid requests whether the
owner has refreshed. A retry is recorded if it comes from another network than the refresh that it repeats,
once for each generation.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain import resource_indicator, scope
from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal
from grantledger.domain.role import RolesAllowNoScope


class GrantOpened(Struct, frozen=True, kw_only=True, array_like=True, tag="token_grant.opened.v1"):
    """A code was redeemed, and the first tokens issued.

    All tokens of the grant are derived from `nonce`, `key_id` and the master secret that `key_id` names.
    """

    client_id: str
    client_registration: int
    user_id: str
    code_key: str
    resource: str
    scopes: tuple[str, ...]
    nonce: str
    key_id: str
    opened_at: int
    access_expires_at: int
    refresh_expires_at: int | None = None
    expires_at: int | None = None


class GrantRefreshed(Struct, frozen=True, kw_only=True, array_like=True, tag="token_grant.refreshed.v1"):
    """A refresh token was exchanged for tokens of the next `generation`.

    `network` is a keyed digest of the network of the request, empty if the network is unknown. It is None if
    the previous refresh came from the same network.
    """

    generation: int
    resource: str
    scopes: tuple[str, ...]
    key_id: str
    refreshed_at: int
    access_expires_at: int
    refresh_expires_at: int
    network: str | None = None


class AccessTokenSigned(
    Struct, frozen=True, kw_only=True, array_like=True, tag="token_grant.access_token_signed.v1"
):
    """The access token of the generation that began just now is a JWT, signed by the key `kid`."""

    kid: str


class RefreshRetriedElsewhere(
    Struct, frozen=True, kw_only=True, array_like=True, tag="token_grant.refresh_retried_elsewhere.v1"
):
    """A refresh was retried within the reuse window, from another network than the previous refresh.

    The retry got the current tokens. It is recorded once for each superseded `generation`.
    """

    generation: int
    retried_at: int


class RefreshTokenReused(
    Struct, frozen=True, kw_only=True, array_like=True, tag="token_grant.refresh_token_reused.v1"
):
    """A refresh token of an older `generation` was presented after its reuse window.

    The same change revokes the grant.
    """

    generation: int
    reused_at: int


class AccessTokensRevoked(
    Struct, frozen=True, kw_only=True, array_like=True, tag="token_grant.access_tokens_revoked.v1"
):
    """The access tokens of this generation and all older ones are refused. The refresh token is not."""

    through_generation: int
    revoked_at: int


class GrantRevoked(Struct, frozen=True, kw_only=True, array_like=True, tag="token_grant.revoked.v1"):
    """Every token of the grant is refused from now on.

    `reason` is one of our own words, such as `code_replayed`.
    """

    reason: str
    revoked_at: int


Event = (
    GrantOpened
    | GrantRefreshed
    | AccessTokenSigned
    | RefreshRetriedElsewhere
    | RefreshTokenReused
    | AccessTokensRevoked
    | GrantRevoked
)


class GrantUnknown(Refusal):
    """No such grant."""


class TokenBelongsToAnotherClient(Refusal):
    """The token was issued to another client."""


class GrantIsRevoked(Refusal):
    """The grant was revoked."""


class GrantHasExpired(Refusal):
    """The grant or its last refresh token has expired."""


class RefreshTokenUnknown(Refusal):
    """No such refresh token was issued."""


class RefreshTokenAlreadyUsed(Refusal):
    """The refresh token was superseded longer ago than the reuse window; its grant is revoked."""


class RetryAsksForSomethingElse(Refusal):
    """A retried refresh asks for another scope or resource than the current tokens have."""


class AccessTokenHasEnded(Refusal):
    """The access token has expired or was revoked."""


class TooManyNarrowings(scope.ScopeInvalid):
    """The grant cannot hold another combination of resource and scopes."""


MAX_REUSE_WINDOW = 300
"""The maximum of `refresh_reuse_window`, in seconds. Older supersessions are forgotten."""

Supersessions = tuple[tuple[int, int], ...]
"""Pairs of (Unix time, first generation that was superseded at that time), oldest first.

An entry also holds for the generations after it, up to the next entry.
"""

Networks = tuple[tuple[int, str], ...]
"""Pairs of (first generation superseded from that network, digest of the network), oldest first.

An entry also holds for the generations after it, up to the next entry.
"""

MAX_NETWORKS = 16
"""Maximum number of networks, and of recorded retries from another network, that a grant keeps."""

MAX_PAIRS = 16
"""Maximum number of different (resource, scopes) pairs among the tokens of one grant."""


class Access(Struct, frozen=True):
    """What a token gives access to: scopes at one resource."""

    resource: str
    scopes: tuple[str, ...]


class Narrowing(Struct, frozen=True, kw_only=True):
    """What a refresh request asks for: its parameters as sent.

    `known_scopes` are the scopes of the server that the user's roles allow. `role_scopes` are those that need
    a role, which the user may have got or lost since the current tokens were issued.
    """

    scope: str | None
    resources: tuple[str, ...]
    known_scopes: frozenset[str]
    role_scopes: frozenset[str] = frozenset()

    def same(self, one: Access, other: Access) -> bool:
        """Whether a request for `one` may be a retry of a request that got `other`."""
        compared = self.known_scopes - self.role_scopes
        return one.resource == other.resource and [s for s in one.scopes if s in compared] == [
            s for s in other.scopes if s in compared
        ]


class Lifetimes(Struct, frozen=True, kw_only=True):
    """Lifetimes of the tokens issued now, and the reuse window, in seconds."""

    access_token: int
    refresh_token: int
    reuse_window: int


class TokenGrant(Struct, frozen=True, kw_only=True, array_like=True):
    """The state of a grant: `pairs[0]` is what the user consented to, `pairs[pair]` is the current pair."""

    client_id: str
    client_registration: int
    user_id: str
    nonce: str
    opened_at: int
    pairs: tuple[Access, ...]
    key_id: str
    issued_at: int
    access_expires_at: int
    refresh_expires_at: int | None = None
    expires_at: int | None = None
    generation: int = 0
    pair: int = 0
    superseded: Supersessions = ()
    networks: Networks = ()
    retried_elsewhere: tuple[int, ...] = ()
    access_revoked_through: int = -1
    revoked: str | None = None
    revoked_at: int | None = None
    signing_key: str | None = None
    """The `kid` of the key that signed the newest access token, or None if that token is opaque."""

    def refresh(
        self,
        *,
        client_id: str,
        client_registration: int,
        generation: int,
        asked: Narrowing,
        key_id: str,
        lifetimes: Lifetimes,
        networks: tuple[str, ...] = (),
        signing_key: str | None = None,
        now: int,
    ) -> tuple[Event, ...]:
        """Exchange a refresh token of `generation`, as the table at the top of this module says.

        `networks` are digests of the caller's network, under the newest key and all older ones; empty if the
        network is unknown. `signing_key` is a `kid` if the new access token is to be a JWT. Returns one of
        these:

        - for a refresh, a `GrantRefreshed`, and for a JWT an `AccessTokenSigned`;
        - for a retry, nothing, or a `RefreshRetriedElsewhere`: the client gets the current tokens;
        - for a reuse, a `RefreshTokenReused` and a `GrantRevoked`.

        Raises `TokenBelongsToAnotherClient`, `GrantIsRevoked`, `GrantHasExpired`, `RefreshTokenUnknown`,
        `RetryAsksForSomethingElse`, `scope.ScopeInvalid`, `resource_indicator.ResourceForeign`.
        """
        self.check_belongs_to(client_id, client_registration)
        self.check_alive(now=now)
        if self.refresh_expires_at is None or generation > self.generation:
            raise RefreshTokenUnknown
        if now >= self.refresh_expires_at:
            raise GrantHasExpired
        # Before the parameters are checked: a reuse must be found even if a parameter is invalid.
        if generation < self.generation and not self._is_retry(
            generation, reuse_window=lifetimes.reuse_window, now=now
        ):
            reused = RefreshTokenReused(generation=generation, reused_at=now)
            return (reused, *self.revoke("refresh_token_reused", now=now))
        # The same check for the current and for older generations, so that a refusal reveals nothing of them.
        access = self._narrowed(asked)
        if generation < self.generation:
            if not asked.same(access, self.current):
                raise RetryAsksForSomethingElse
            return self._retried(generation, networks, now=now)
        refreshed = GrantRefreshed(
            generation=generation + 1,
            resource=access.resource,
            scopes=access.scopes,
            key_id=key_id,
            refreshed_at=now,
            access_expires_at=earliest(now + lifetimes.access_token, self.expires_at),
            refresh_expires_at=earliest(now + lifetimes.refresh_token, self.expires_at),
            network=self._network_if_new(networks),
        )
        return (refreshed,) if signing_key is None else (refreshed, AccessTokenSigned(kid=signing_key))

    def _is_retry(self, generation: int, *, reuse_window: int, now: int) -> bool:
        """Whether the reuse window of a superseded generation is still open."""
        since = when_superseded(self.superseded, generation)
        # The later of the two times: setting the clock back must not reopen a reuse window that has ended.
        return since is not None and max(now, self.superseded[-1][0]) < since + reuse_window

    def _retried(self, generation: int, networks: tuple[str, ...], *, now: int) -> tuple[Event, ...]:
        """Record a retry from another network: once for each generation, and for at most 16 generations."""
        known = superseding_network(self.networks, generation)
        if not networks or not known or known in networks:
            return ()
        if generation in self.retried_elsewhere or len(self.retried_elsewhere) == MAX_NETWORKS:
            return ()
        return (RefreshRetriedElsewhere(generation=generation, retried_at=now),)

    def _network_if_new(self, networks: tuple[str, ...]) -> str | None:
        """Return the digest to record, None if the previous refresh came from this network."""
        known = self.networks[-1][1] if self.networks else ""
        newest = networks[0] if networks else ""
        return None if known in (networks or ("",)) else newest

    def _narrowed(self, asked: Narrowing) -> Access:
        """Return the requested resource and scopes, without scopes that are not configured or not allowed.

        The roles of the user decide which scopes are allowed.
        Raises `ScopeInvalid`, `RolesAllowNoScope`, `ResourceForeign` or `TooManyNarrowings`.
        """
        resource = resource_indicator.narrowed(asked.resources, granted=self.consented.resource)
        granted = tuple(token for token in self.consented.scopes if token in asked.known_scopes)
        if not granted:
            raise RolesAllowNoScope
        scopes = scope.narrowed(asked.scope, granted=granted, known=asked.known_scopes)
        access = Access(resource, scopes)
        if access not in self.pairs and len(self.pairs) == MAX_PAIRS:
            raise TooManyNarrowings
        return access

    def check_access(self, *, generation: int, pair: int, expires_at: int, now: int) -> Access:
        """Return what an access token of `generation` gives access to.

        Raises `GrantIsRevoked`, `GrantHasExpired` or `AccessTokenHasEnded`.
        """
        self.check_alive(now=now)
        if now >= expires_at or generation <= self.access_revoked_through:
            raise AccessTokenHasEnded
        if generation > self.generation or pair >= len(self.pairs):
            raise AccessTokenHasEnded(
                "its grant has no such generation: was an older copy of the ledger restored?"
            )
        return self.pairs[pair]

    def pair_of(self, resource: str, scope: str) -> int | None:
        """Return the index of the pair of this resource and `scope` parameter, None if there is none."""
        for index, access in enumerate(self.pairs):
            if (access.resource, " ".join(access.scopes)) == (resource, scope):
                return index
        return None

    def revoke_access(self, *, generation: int, now: int) -> tuple[Event, ...]:
        """Refuse the access token of `generation` and every older one (RFC 7009)."""
        if self.revoked is not None or not self.access_revoked_through < generation <= self.generation:
            return ()
        return (AccessTokensRevoked(through_generation=generation, revoked_at=now),)

    def revoke(self, reason: str, *, now: int) -> tuple[Event, ...]:
        """Refuse every token of the grant from now on."""
        return () if self.revoked is not None else (GrantRevoked(reason=reason, revoked_at=now),)

    def check_belongs_to(self, client_id: str, client_registration: int) -> None:
        """Raise `TokenBelongsToAnotherClient` unless the grant belongs to this registration of the client."""
        if (client_id, client_registration) != (self.client_id, self.client_registration):
            raise TokenBelongsToAnotherClient

    def check_alive(self, *, now: int) -> None:
        """Raise `GrantIsRevoked`, or `GrantHasExpired` after the absolute limit of the grant."""
        if self.revoked is not None:
            raise GrantIsRevoked(self.revoked)
        if self.expires_at is not None and now >= self.expires_at:
            raise GrantHasExpired

    def is_usable(self, *, now: int) -> bool:
        """Whether the newest access token or refresh token of the grant is still accepted."""
        if self.revoked is not None or (self.expires_at is not None and now >= self.expires_at):
            return False
        has_access = now < self.access_expires_at and self.generation > self.access_revoked_through
        return has_access or (self.refresh_expires_at is not None and now < self.refresh_expires_at)

    @property
    def consented(self) -> Access:
        return self.pairs[0]

    @property
    def current(self) -> Access:
        """What the newest access token gives access to."""
        return self.pairs[self.pair]


def earliest(moment: int, limit: int | None) -> int:
    """Return `moment`, or `limit` if that is earlier."""
    return moment if limit is None else min(moment, limit)


def evolve(grant: TokenGrant | None, event: Event) -> TokenGrant:
    if isinstance(event, GrantOpened):
        return _opened(event)
    assert grant is not None
    match event:
        case GrantRefreshed():
            return _refreshed(grant, event)
        case AccessTokenSigned():
            return replace(grant, signing_key=event.kid)
        case RefreshRetriedElsewhere():
            return replace(grant, retried_elsewhere=(*grant.retried_elsewhere, event.generation))
        case RefreshTokenReused():
            return grant
        case AccessTokensRevoked():
            return replace(grant, access_revoked_through=event.through_generation)
        case GrantRevoked():
            return replace(grant, revoked=event.reason, revoked_at=event.revoked_at)
        case _:
            assert_never(event)


def _opened(event: GrantOpened) -> TokenGrant:
    return TokenGrant(
        client_id=event.client_id,
        client_registration=event.client_registration,
        user_id=event.user_id,
        nonce=event.nonce,
        opened_at=event.opened_at,
        pairs=(Access(event.resource, event.scopes),),
        key_id=event.key_id,
        issued_at=event.opened_at,
        access_expires_at=event.access_expires_at,
        refresh_expires_at=event.refresh_expires_at,
        expires_at=event.expires_at,
    )


def _refreshed(grant: TokenGrant, event: GrantRefreshed) -> TokenGrant:
    access = Access(event.resource, event.scopes)
    pairs = grant.pairs if access in grant.pairs else (*grant.pairs, access)
    entries = superseded(grant.superseded, grant.generation, at=event.refreshed_at)
    return replace(
        grant,
        pairs=pairs,
        pair=pairs.index(access),
        key_id=event.key_id,
        issued_at=event.refreshed_at,
        access_expires_at=event.access_expires_at,
        refresh_expires_at=event.refresh_expires_at,
        generation=event.generation,
        signing_key=None,
        superseded=entries,
        networks=_networks(grant, event.network, oldest=entries[0][1]),
        retried_elsewhere=tuple(each for each in grant.retried_elsewhere if each >= entries[0][1]),
    )


def _networks(grant: TokenGrant, network: str | None, *, oldest: int) -> Networks:
    """Add the network that superseded this generation; drop the networks of those before `oldest`."""
    networks = grant.networks if network is None else (*grant.networks, (grant.generation, network))
    if len(networks) < 2:  # noqa: PLR2004 - mostly one network, which holds for every generation after it
        return networks
    ends = (*(first for first, _ in networks[1:]), grant.generation + 1)
    kept = tuple(entry for entry, end in zip(networks, ends, strict=True) if end > oldest)
    return kept[-MAX_NETWORKS:]


def superseded(before: Supersessions, generation: int, *, at: int) -> Supersessions:
    """Add that `generation` was superseded at this second, and drop entries older than any reuse window."""
    # Not before the last entry, even if the clock was set back: the times must stay in order.
    second = max(at, before[-1][0]) if before else at
    kept = tuple(entry for entry in before if entry[0] >= second - MAX_REUSE_WINDOW)
    return kept if kept and kept[-1][0] == second else (*kept, (second, generation))


def when_superseded(entries: Supersessions, generation: int) -> int | None:
    """Return the second in which `generation` was superseded, or None if the entry was dropped."""
    return next((second for second, first in reversed(entries) if first <= generation), None)


def superseding_network(networks: Networks, generation: int) -> str:
    """Return the digest of the network that superseded the generation, empty if it is unknown."""
    return next((network for first, network in reversed(networks) if first <= generation), "")


GRANT: Kind[TokenGrant] = Kind(
    category="grant",
    state=TokenGrant,
    events=(
        GrantOpened,
        GrantRefreshed,
        AccessTokenSigned,
        RefreshRetriedElsewhere,
        RefreshTokenReused,
        AccessTokensRevoked,
        GrantRevoked,
    ),
    evolve=evolve,
)
