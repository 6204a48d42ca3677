"""Small changes to record. Most begin a stream; those that take a `Versioned` continue the loaded stream."""

from typing import Any

from eventsourcing.persistence import StoredEvent
from msgspec import Struct
from msgspec.structs import replace

from grantledger.adapters.ledger.recorder import Entry, TagMapper
from grantledger.application.provenance import Caller, by_operator
from grantledger.domain.aggregate import Change, Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.browser_session import SIGNIN, SignedIn
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.consent import CONSENT, ConsentGiven, consent_key
from grantledger.domain.token_grant import GRANT, GrantRefreshed, GrantRevoked
from grantledger.domain.user_account import USER, AccountOpened
from support import clients, codes, grants

CODE_ENDS = codes.ISSUED.expires_at

OPERATOR = by_operator(Caller(correlation_id="request"))


def registered(client_id: str = "glc_editor") -> Change[Any]:
    event = replace(clients.REGISTERED, client_id=client_id)
    return Versioned(kind=CLIENT, key=client_id).then((event,))


def opened_account(user_id: str = "glu_ada") -> Change[Any]:
    return Versioned(kind=USER, key=user_id).then((AccountOpened(user_id=user_id, opened_at=1_000),))


def issued(code: str = "code", **but: Any) -> Change[Any]:
    """A code that does not expire during a test."""
    event = replace(codes.ISSUED, **({"transaction_id": code, "expires_at": 2**40} | but))
    return Versioned(kind=CODE, key=code).then((event,))


def consented(client_id: str = "glc_editor") -> Change[Any]:
    """Ada allows the client the resource and scope for which `issued` issues a code."""
    event = ConsentGiven(
        user_id="glu_ada",
        client_id=client_id,
        client_registration=1,
        redirect_host="127.0.0.1",
        resource=grants.RESOURCE,
        scopes=("openid",),
        given_at=1_000,
    )
    return Versioned(kind=CONSENT, key=consent_key("glu_ada", client_id)).then((event,))


def signed_in(session: str = "session", **but: Any) -> Change[Any]:
    event = SignedIn(
        session_id=session, user_id="glu_ada", secret_digest="digest", signed_in_at=1_000, expires_at=2**40
    )
    return Versioned(kind=SIGNIN, key=session).then((replace(event, **but),))


def opened(grant: str = "grant", **but: Any) -> Change[Any]:
    return Versioned(kind=GRANT, key=grant).then((replace(grants.OPENED, **but),))


def revoked(grant: Versioned[Any]) -> Change[Any]:
    return grant.then((GrantRevoked(reason="test", revoked_at=2_000),))


def refreshed(grant: Versioned[Any]) -> Change[Any]:
    event = GrantRefreshed(
        generation=grant.version,
        resource=grants.RESOURCE,
        scopes=grants.ONLY_READ.scopes,
        key_id="key-1",
        refreshed_at=1_000 + grant.version,
        access_expires_at=4_600,
        refresh_expires_at=605_800,
    )
    return grant.then((event,))


def stored(stream_id: str, version: int, event: Struct) -> StoredEvent:
    """What a tool of the library writes."""
    return TagMapper().to_stored_event(Entry(stream_id, version, event))
