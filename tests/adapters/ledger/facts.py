"""Small changes to record: each is the first of its stream unless it is made from what was loaded."""

from typing import Any

from msgspec.structs import replace

from grantledger.application.provenance import Caller, by_operator
from grantledger.domain.aggregate import Change, Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import GRANT, GrantRefreshed, GrantRevoked
from grantledger.domain.user_account import USER, AccountOpened
from support import clients, codes, grants

SOMEBODY = by_operator(Caller(correlation_id="request"))


def registered(client_id: str = "glc_editor") -> Change[Any]:
    event = replace(clients.REGISTERED, client_id=client_id)
    return Versioned(kind=CLIENT, key=client_id).then((event,))


def opened_account(user_id: str = "glu_ada") -> Change[Any]:
    return Versioned(kind=USER, key=user_id).then((AccountOpened(user_id=user_id, opened_at=1_000),))


def issued(code: str = "code", **but: Any) -> Change[Any]:
    """A code whose transaction is its own unless `but` names another."""
    event = replace(codes.ISSUED, **({"transaction_id": f"transaction of {code}"} | but))
    return Versioned(kind=CODE, key=code).then((event,))


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
