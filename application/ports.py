"""What the use cases need from outside, in terms of the domain."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from grantledger.application.provenance import Provenance
from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.authorization_code import AuthorizationCode
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.consent import Consent
from grantledger.domain.signing_keys import ES256, NewKey
from grantledger.domain.token_grant import TokenGrant
from grantledger.domain.user_account import UserAccount

S = TypeVar("S")


class Conflict(Exception):  # noqa: N818 - a lost race is an answer
    """Another request changed the stream or took the unique value before this one. Nothing was recorded."""


class Unavailable(Exception):  # noqa: N818 - the caller gets 503, never 401
    """The ledger cannot be read or written now; nothing can be said about any token."""


class MasterSecretMissing(Unavailable):
    """The data is sealed under a master secret that is not configured here."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"what is needed is sealed under master secret {key_id!r}, which is not configured: add it to "
            "`master_secret_file` or `master_secret`"
        )


class Clock(Protocol):
    def now(self) -> int:
        """Return the current time in whole seconds since 1970, UTC."""
        ...


class Randomness(Protocol):
    def token(self, prefix: str = "", *, size: int = 32) -> str:
        """Return `prefix` and the base64url of `size` fresh random bytes, unpadded."""
        ...

    def new_id(self) -> str:
        """Return the base64url of 16 fresh bytes, of which at least 80 bits are random.

        Ids sort as text by the time they were made, so that the ledger writes new rows next to each other
        (ADR 0088).
        """
        ...


class PrivateRecord(Struct, frozen=True, kw_only=True):
    """A value that must not be in the log, such as an e-mail address. It is stored sealed, next to the log.

    `subject` is the id that it belongs to, and `name` says what it is. A `value` of None erases the record.
    `lookup` is set if the record must be found by its value: only a keyed digest of it is stored. No two
    records of one name have the same `lookup`.
    """

    subject: str
    name: str
    value: str | None
    lookup: str | None = None


class GrantFacts(Struct, frozen=True, kw_only=True):
    """A grant with its client and its user, as one read saw them."""

    grant: Versioned[TokenGrant]
    client: Versioned[ClientRegistration]
    user: Versioned[UserAccount]


class CodeFacts(Struct, frozen=True, kw_only=True):
    """A code with its client, its user and the user's consent to the client, as one read saw them."""

    code: Versioned[AuthorizationCode]
    client: Versioned[ClientRegistration]
    user: Versioned[UserAccount]
    consent: Versioned[Consent]


class AuthorizationFacts(Struct, frozen=True, kw_only=True):
    """What decides an authorization request, as one read saw it."""

    client: Versioned[ClientRegistration]
    user: Versioned[UserAccount]
    session: Versioned[BrowserSession]
    consent: Versioned[Consent]
    code: Versioned[AuthorizationCode]


class BrowserSessionFacts(Struct, frozen=True, kw_only=True):
    """A browser session with its user and the user's e-mail address, as one read saw them.

    The address is unsealed only when `email` is called, since few requests show it. `email` returns None if
    there is no address, and raises `Unavailable` if the master secret is missing.
    """

    session: BrowserSession
    user: UserAccount | None
    email: Callable[[], str | None]


class AppFacts(Struct, frozen=True, kw_only=True):
    """A client to which a user has given access, as one read saw it. Times are seconds since 1970, UTC.

    `connections` counts the usable grants to the client's present registration. `since` is the start of the
    oldest of them, and `last_refresh` the latest refresh of any of them.
    """

    client: ClientRegistration
    consent: Consent
    connections: int
    since: int | None
    last_refresh: int | None


class Ledger(Protocol):
    """The event log with its read model. Every method raises `Unavailable` in an outage."""

    async def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        """Return the aggregate with every acknowledged event; version 0 if it has none."""
        ...

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        """Append all changes with their rows durably, or append nothing and raise `Conflict`.

        `Conflict` means that a stream is no longer at the version that its change names, or that a unique
        value is taken. A change without events only asserts its version. If no change has events, nothing
        happens.
        """
        ...


class PastReader(Protocol):
    async def load_as_of(self, kind: Kind[S], key: str, moment: int) -> Versioned[S]:
        """Return the aggregate as it was at `moment`, in microseconds since 1970, UTC.

        Before its first event it is at version 0.
        """
        ...


class DecisionReader(Protocol):
    """One query for all that a decision needs. Every method raises `Unavailable` in an outage.

    `grant_facts` and `browser_session_facts` return None if there is no such grant or session. Anything else
    that is missing is at version 0.
    """

    async def grant_facts(self, grant_id: str) -> GrantFacts | None: ...

    async def code_facts(self, transaction_id: str) -> CodeFacts: ...

    async def authorization_facts(
        self, *, client_id: str, user_id: str, session_id: str, transaction_id: str
    ) -> AuthorizationFacts:
        """Return the facts of a request. If `user_id` is empty, the user is that of the session.

        A session that an embedding application manages is not in the ledger: it is at version 0.
        """
        ...

    async def browser_session_facts(self, session_id: str) -> BrowserSessionFacts | None: ...

    async def connected_apps(self, user_id: str, *, now: int) -> Sequence[AppFacts]:
        """Return the clients to which the user has given access, the most recently connected first.

        Returns at most 200 clients, and reads at most the newest 2,000 grants of the user.
        """
        ...


MAX_PAGE = 200


class ListPage(Struct, Generic[S], frozen=True, kw_only=True):
    """One page of a list, newest first. The next page starts after `after`; on the last it is None."""

    items: tuple[Versioned[S], ...]
    after: str | None


class Listings(Protocol):
    """Lists, newest first, which include what is disabled, deleted, revoked or expired.

    Each call returns at most `limit` items, from 1 to 200, after the item with the key `after`. Raises
    `Unavailable` in an outage.
    """

    async def clients(
        self, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> ListPage[ClientRegistration]: ...

    async def unused_clients(self, before: int) -> Sequence[Versioned[ClientRegistration]]:
        """Return at most 200 clients that registered by that time and to which no user has given access.

        Approved and disabled clients are left out. The oldest is first.
        """
        ...

    async def users(self, *, after: str | None = None, limit: int = MAX_PAGE) -> ListPage[UserAccount]: ...

    async def grants(
        self,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> ListPage[TokenGrant]:
        """Return the grants to the client, of the user, or both if both are given."""
        ...

    async def consents(
        self, user_id: str, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> ListPage[Consent]:
        """Return the consents of the user, one for each client to which the user ever gave access.

        They are ordered by key, not by time.
        """
        ...


class PrivateRecords(Protocol):
    async def find(self, name: str, lookup: str) -> str | None:
        """Return the subject whose record of that name is found by `lookup`."""
        ...

    async def value(self, subject: str, name: str) -> str | None:
        """Return the unsealed value, None if it never existed or was erased."""
        ...

    async def values(self, subject: str, names: Collection[str]) -> Mapping[str, str]:
        """Return the unsealed values of those names that the subject has, in one read."""
        ...


class TokenClaims(Struct, frozen=True, kw_only=True):
    """The content of a token. `pair` is the index of its (resource, scopes) in the grant."""

    key_id: str
    grant_id: str
    generation: int
    expires_at: int
    pair: int = 0


class TokenSealer(Protocol):
    """Tokens are derived from a grant, not stored: the same claims and nonce give the same token."""

    @property
    def key_id(self) -> str:
        """The id of the newest master secret, under which new tokens are sealed."""
        ...

    def access_token(self, claims: TokenClaims, nonce: str) -> str: ...

    def refresh_token(self, claims: TokenClaims, nonce: str) -> str: ...

    def read(self, token: str) -> "SealedToken | None":
        """Return the token with its unverified claims; None if it cannot be one of ours."""
        ...


class NetworkDigests(Protocol):
    def __call__(self, address: str | None) -> tuple[str, ...]:
        """Return keyed digests of the address's network, one for each master secret, newest first.

        An unknown address (None) has no digests. Two addresses of one network have the same digests.
        """
        ...


class CodeSealer(Protocol):
    """Codes are derived from their transaction, so that none is stored."""

    def code_of(self, transaction_id: str) -> str:
        """Return the authorization code of the transaction, which only this server can compute."""
        ...

    def transaction_of(self, code: str) -> str | None:
        """Return the transaction of a code that `code_of` made, None for any other text."""
        ...


class SealedToken(Protocol):
    is_refresh_token: bool
    claims: TokenClaims

    def is_genuine(self, nonce: str) -> bool:
        """Whether we sealed the token, for the grant with this nonce."""
        ...


class Throttle(Protocol):
    """Counts how often something is done per key, and compares with one rate. Its memory is bounded."""

    def take(self, *key: str) -> int:
        """Count one and return 0; if the rate is used up, count nothing and return the seconds to wait."""
        ...

    def give_back(self, *key: str) -> None:
        """Count one less."""
        ...


class KnownNetworks(Protocol):
    """Networks from which a subject has recently presented the right secret. Any of them may be forgotten."""

    def add(self, subject: str, network: str) -> None: ...

    def has(self, subject: str, network: str) -> bool: ...


class CommonPasswords(Protocol):
    async def include(self, passwords: Collection[str]) -> bool:
        """Return whether any of these is a common password. All are in lower case."""
        ...


class PasswordHasher(Protocol):
    async def hash(self, password: str) -> str: ...

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether `hash` would use other parameters today."""
        ...

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is right. If the hash is None, no password matches, after the same time."""
        ...


PRIVATE_KEY = "private_key"
"""The name of the private record that holds a private signing key; its subject is the `kid`."""


class KeyPair(Struct, frozen=True, kw_only=True):
    """A key with its private key as text, which is stored sealed and nowhere else."""

    key: NewKey
    private: str


class SigningKeyMaker(Protocol):
    def make(self, alg: str = ES256) -> KeyPair:
        """Return a fresh key pair for one of `ALGORITHMS`."""
        ...


class AccessTokenClaims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of a JWT access token (RFC 9068 section 2.2), with its grant and its generation.

    `roles` is the claim of section 2.2.3.1. Times are in whole seconds since 1970, UTC.
    """

    iss: str
    sub: str
    aud: str
    client_id: str
    iat: int
    exp: int
    jti: str
    scope: str
    grant_id: str
    generation: int
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


class AccessTokenSigner(Protocol):
    """JWT access tokens are not stored: the same claims and key give the same token.

    The keys are those of the ledger as they were at most a second ago. Every method raises `Unavailable` in
    an outage.
    """

    async def active_key(self, alg: str) -> str:
        """Return the `kid` of the key that signs now. Raises `Unavailable` while there is none."""
        ...

    async def sign(self, claims: AccessTokenClaims, kid: str) -> str:
        """Return the token, signed by the key `kid`, or by the active key if that key was withdrawn."""
        ...

    async def read(self, token: str) -> AccessTokenClaims | None:
        """Return the claims if a key that is published now has signed them as an access token."""
        ...


class IdTokenClaims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """OpenID Connect Core section 2. Times are in whole seconds since 1970, UTC."""

    iss: str
    sub: str
    aud: str
    iat: int
    exp: int
    at_hash: str
    auth_time: int | None = None
    nonce: str | None = None
    name: str | None = None
    email: str | None = None
    email_verified: bool | None = None
    roles: tuple[str, ...] | None = None
    permissions: tuple[str, ...] | None = None


class IdTokenSigner(Protocol):
    async def sign(self, claims: IdTokenClaims) -> str:
        """Return the ID token, signed by the key that is active in the ledger now.

        Raises `Unavailable` in an outage, and while there is no such key or it cannot be unsealed.
        """
        ...
