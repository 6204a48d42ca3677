"""One consented authorization: its refresh tokens by generation, narrowing, reuse and revocation."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain import resource_indicator, scope
from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal


class GrantOpened(Struct, frozen=True, kw_only=True, tag="token_grant.opened.v1"):
    """A code was redeemed, and the first tokens issued.

    `nonce` and `key_id` are what all tokens of the grant are derived with, beside the master secret.
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


class GrantRefreshed(Struct, frozen=True, kw_only=True, tag="token_grant.refreshed.v1"):
    """A refresh token was traded for the next `generation`, with all that was consented to or less."""

    generation: int
    resource: str
    scopes: tuple[str, ...]
    key_id: str
    refreshed_at: int
    access_expires_at: int
    refresh_expires_at: int


class RefreshTokenReused(Struct, frozen=True, kw_only=True, tag="token_grant.refresh_token_reused.v1"):
    """A refresh token of an older `generation` came back too late to be a retry.

    The grant is revoked with it.
    """

    generation: int
    reused_at: int


class AccessTokensRevoked(Struct, frozen=True, kw_only=True, tag="token_grant.access_tokens_revoked.v1"):
    """The access tokens of this generation and of all before it are refused. The refresh token is not."""

    through_generation: int
    revoked_at: int


class GrantRevoked(Struct, frozen=True, kw_only=True, tag="token_grant.revoked.v1"):
    """Every token of the grant is refused from now on.

    `reason` is a word of ours, such as `code_replayed`.
    """

    reason: str
    revoked_at: int


Event = GrantOpened | GrantRefreshed | RefreshTokenReused | AccessTokensRevoked | GrantRevoked


MAX_REUSE_WINDOW = 300
"""The longest `refresh_reuse_window` that can be set, in seconds: older entries are forgotten."""

Supersessions = tuple[tuple[int, int], ...]
"""(second, first generation superseded in it), oldest first; an entry reaches up to the next one."""


def superseded(before: Supersessions, generation: int, *, at: int) -> Supersessions:
    """Remember that `generation` was superseded at that second, and forget what no window can reach."""
    # A clock that was set back must not make an older token look fresher than a newer one.
    second = max(at, before[-1][0]) if before else at
    kept = tuple(entry for entry in before if entry[0] >= second - MAX_REUSE_WINDOW)
    return kept if kept and kept[-1][0] == second else (*kept, (second, generation))


def when_superseded(entries: Supersessions, generation: int) -> int | None:
    """Return the second at which `generation` was superseded, None when that is forgotten."""
    return next((second for second, first in reversed(entries) if first <= generation), None)


MAX_PAIRS = 16
"""How many different (resource, scopes) pairs the tokens of one grant may carry."""


class Access(Struct, frozen=True):
    """What a token is good for: scopes at one resource."""

    resource: str
    scopes: tuple[str, ...]


class Narrowing(Struct, frozen=True, kw_only=True):
    """What a refresh asks for: the parameters as they came, and the scopes that the server knows."""

    scope: str | None
    resources: tuple[str, ...]
    known_scopes: frozenset[str]


class GrantUnknown(Refusal):
    """No such grant, or it is another user's."""


class TokenBelongsToAnotherClient(Refusal):
    """The token was issued to another client."""


class GrantIsRevoked(Refusal):
    """The grant was revoked."""


class GrantHasExpired(Refusal):
    """The grant, or the last refresh token of it, has outlived its time."""


class RefreshTokenUnknown(Refusal):
    """No such refresh token was issued."""


class RefreshTokenAlreadyUsed(Refusal):
    """The refresh token was used too long ago to be a retry; its grant is revoked."""


class RetryAsksForSomethingElse(Refusal):
    """A repeated refresh asks for other scopes or another resource than the first one got."""


class AccessTokenHasEnded(Refusal):
    """The access token has expired or was revoked."""


class TooManyNarrowings(scope.ScopeInvalid):
    """The grant has no room for one more set of scopes."""


class Lifetimes(Struct, frozen=True, kw_only=True):
    """How long what is issued now will live, in seconds."""

    access_token: int
    refresh_token: int
    reuse_window: int


class TokenGrant(Struct, frozen=True, kw_only=True):
    """A grant as its events left it. `pairs[0]` is what the user consented to."""

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
    access_revoked_through: int = -1
    revoked: str | None = None

    @property
    def consented(self) -> Access:
        return self.pairs[0]

    @property
    def current(self) -> Access:
        """What the newest access token is good for."""
        return self.pairs[self.pair]

    def check_belongs_to(self, client_id: str, client_registration: int) -> None:
        """Raise `TokenBelongsToAnotherClient` unless the grant was opened for that very registration."""
        if (client_id, client_registration) != (self.client_id, self.client_registration):
            raise TokenBelongsToAnotherClient

    def check_alive(self, *, now: int) -> None:
        """Raise `GrantIsRevoked` or `GrantHasExpired` (its absolute limit)."""
        if self.revoked is not None:
            raise GrantIsRevoked(self.revoked)
        if self.expires_at is not None and now >= self.expires_at:
            raise GrantHasExpired

    def is_usable(self, *, now: int) -> bool:
        """Whether any token of the grant, or the next one that its refresh token earns, is accepted."""
        if self.revoked is not None or (self.expires_at is not None and now >= self.expires_at):
            return False
        has_access = now < self.access_expires_at and self.generation > self.access_revoked_through
        return has_access or (self.refresh_expires_at is not None and now < self.refresh_expires_at)

    def refresh(
        self,
        *,
        client_id: str,
        client_registration: int,
        generation: int,
        asked: Narrowing,
        key_id: str,
        lifetimes: Lifetimes,
        now: int,
    ) -> tuple[Event, ...]:
        """Answer a refresh token of `generation` by the table of ADR 0007.

        Returns a new generation, nothing when the answer is the current pair of tokens, or the evidence
        of a reuse with the revocation it causes. What is asked for comes last: no parameter hides a reuse.

        Raises `TokenBelongsToAnotherClient`, `GrantIsRevoked`, `GrantHasExpired`, `RefreshTokenUnknown`,
        `RetryAsksForSomethingElse`, `scope.ScopeInvalid`, `resource_indicator.ResourceForeign`.
        """
        self.check_belongs_to(client_id, client_registration)
        self.check_alive(now=now)
        if self.refresh_expires_at is None or generation > self.generation:
            raise RefreshTokenUnknown
        if now >= self.refresh_expires_at:
            raise GrantHasExpired
        if generation < self.generation:
            return self._retry(generation, asked, reuse_window=lifetimes.reuse_window, now=now)
        access = self._narrowed(asked)
        if access not in self.pairs and len(self.pairs) == MAX_PAIRS:
            raise TooManyNarrowings
        return (
            GrantRefreshed(
                generation=generation + 1,
                resource=access.resource,
                scopes=access.scopes,
                key_id=key_id,
                refreshed_at=now,
                access_expires_at=earliest(now + lifetimes.access_token, self.expires_at),
                refresh_expires_at=earliest(now + lifetimes.refresh_token, self.expires_at),
            ),
        )

    def _retry(self, generation: int, asked: Narrowing, *, reuse_window: int, now: int) -> tuple[Event, ...]:
        since = when_superseded(self.superseded, generation)
        # A clock that was set back must not open again a window that had passed.
        if since is None or max(now, self.superseded[-1][0]) >= since + reuse_window:
            reused = RefreshTokenReused(generation=generation, reused_at=now)
            return (reused, *self.revoke("refresh_token_reused", now=now))
        try:
            same = self._narrowed(asked) == self.current
        except (scope.ScopeInvalid, resource_indicator.ResourceForeign) as refusal:
            raise RetryAsksForSomethingElse from refusal
        if not same:
            raise RetryAsksForSomethingElse
        return ()

    def _narrowed(self, asked: Narrowing) -> Access:
        """Return all that was consented to, or less. Raises `ScopeInvalid` or `ResourceForeign`."""
        resource = resource_indicator.narrowed(asked.resources, granted=self.consented.resource)
        scopes = scope.narrowed(asked.scope, granted=self.consented.scopes, known=asked.known_scopes)
        return Access(resource, scopes)

    def check_access(self, *, generation: int, pair: int, expires_at: int, now: int) -> Access:
        """Return what an access token of `generation` is good for now.

        Raises `GrantIsRevoked`, `GrantHasExpired` or `AccessTokenHasEnded`.
        """
        self.check_alive(now=now)
        if now >= expires_at or generation <= self.access_revoked_through:
            raise AccessTokenHasEnded
        if generation > self.generation or pair >= len(self.pairs):
            raise AccessTokenHasEnded("issued by a ledger that remembers more than this one")
        return self.pairs[pair]

    def revoke_access(self, *, generation: int, now: int) -> tuple[Event, ...]:
        """Refuse the access token of `generation` and every older one (RFC 7009)."""
        if self.revoked is not None or not self.access_revoked_through < generation <= self.generation:
            return ()
        return (AccessTokensRevoked(through_generation=generation, revoked_at=now),)

    def revoke(self, reason: str, *, now: int) -> tuple[Event, ...]:
        """Refuse every token of the grant from now on."""
        return () if self.revoked is not None else (GrantRevoked(reason=reason, revoked_at=now),)


def earliest(moment: int, limit: int | None) -> int:
    """Return `moment`, or `limit` where that comes first."""
    return moment if limit is None else min(moment, limit)


def evolve(grant: TokenGrant | None, event: Event) -> TokenGrant:
    if isinstance(event, GrantOpened):
        return _opened(event)
    assert grant is not None
    match event:
        case GrantRefreshed():
            return _refreshed(grant, event)
        case RefreshTokenReused():
            return grant
        case AccessTokensRevoked():
            return replace(grant, access_revoked_through=event.through_generation)
        case GrantRevoked():
            return replace(grant, revoked=event.reason)
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
    return replace(
        grant,
        pairs=pairs,
        pair=pairs.index(access),
        key_id=event.key_id,
        issued_at=event.refreshed_at,
        access_expires_at=event.access_expires_at,
        refresh_expires_at=event.refresh_expires_at,
        generation=event.generation,
        superseded=superseded(grant.superseded, grant.generation, at=event.refreshed_at),
    )


GRANT: Kind[TokenGrant] = Kind(
    category="grant",
    state=TokenGrant,
    events=(GrantOpened, GrantRefreshed, RefreshTokenReused, AccessTokensRevoked, GrantRevoked),
    evolve=evolve,
)
