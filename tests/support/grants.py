"""Token grants and their refreshes; times are seconds after the grant was opened."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from grantledger.domain.token_grant import (
    Access,
    Event,
    GrantOpened,
    Lifetimes,
    Narrowing,
    TokenGrant,
    evolve,
)

RESOURCE = "https://mcp.example/mcp"
CONSENTED = Access(RESOURCE, ("openid", "notes:read", "notes:write"))
ONLY_READ = Access(RESOURCE, ("notes:read",))
ONLY_WRITE = Access(RESOURCE, ("notes:write",))

KNOWN = frozenset({*CONSENTED.scopes, "email", *(f"notes:{n}" for n in range(16))})

WINDOW = 60
ACCESS_LIFETIME = 3_600
REFRESH_LIFETIME = 604_800

OPENED_AT = 1_000
OPENED = GrantOpened(
    client_id="glc_editor",
    client_registration=1,
    user_id="glu_ada",
    code_key="digest-of-the-code",
    resource=CONSENTED.resource,
    scopes=CONSENTED.scopes,
    nonce="nonce",
    key_id="key-1",
    opened_at=OPENED_AT,
    access_expires_at=OPENED_AT + ACCESS_LIFETIME,
    refresh_expires_at=OPENED_AT + REFRESH_LIFETIME,
)


def an_open_grant(**opened: Any) -> TokenGrant:
    """Return a grant of generation 0, opened as usual except for the fields in `opened`."""
    return evolve(None, replace(OPENED, **opened))


def after(grant: TokenGrant, events: Iterable[Event]) -> TokenGrant:
    for event in events:
        grant = evolve(grant, event)
    return grant


def refresh(
    grant: TokenGrant,
    generation: int,
    *,
    at: int,
    asked: Access | Narrowing = CONSENTED,
    window: int = WINDOW,
    **request: Any,
) -> tuple[Event, ...]:
    """Present the refresh token of `generation` in a correct request, except for the fields in `request`."""
    lifetimes = Lifetimes(access_token=ACCESS_LIFETIME, refresh_token=REFRESH_LIFETIME, reuse_window=window)
    right: dict[str, Any] = {
        "client_id": OPENED.client_id,
        "client_registration": OPENED.client_registration,
        "key_id": "key-1",
    }
    narrowing = asked if isinstance(asked, Narrowing) else narrowed_to(asked)
    return grant.refresh(
        **(right | request), generation=generation, asked=narrowing, lifetimes=lifetimes, now=at
    )


def narrowed_to(access: Access) -> Narrowing:
    """Return the request for these scopes alone."""
    return Narrowing(scope=" ".join(access.scopes), resources=(access.resource,), known_scopes=KNOWN)


def refreshed(grant: TokenGrant, *seconds: int, asked: Access = CONSENTED) -> TokenGrant:
    """Return the grant after its newest refresh token was used at each of these seconds."""
    for second in seconds:
        grant = after(grant, refresh(grant, grant.generation, at=second, asked=asked))
    return grant
