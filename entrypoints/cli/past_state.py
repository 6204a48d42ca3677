"""What `grantledger ledger show --as-of` prints of a client, a user or a grant."""

from collections.abc import Iterator

from grantledger.application.history.as_of import PastClient, PastGrant, PastUser
from grantledger.domain.token_grant import Access
from grantledger.entrypoints.cli.output import to_second


def facts_of(found: PastClient | PastUser | PastGrant) -> Iterator[tuple[str, str]]:
    """Return the names and values that `ledger show --as-of` prints."""
    match found:
        case PastGrant():
            return _past_grant(found)
        case PastUser():
            return _past_user(found)
        case PastClient():
            return _past_client(found)


def _past_grant(grant: PastGrant) -> Iterator[tuple[str, str]]:
    why = f": {grant.revoked}" if grant.revoked else ""
    yield "grant", grant.grant_id
    yield "status", f"{grant.status}{why}"
    yield "of user", grant.user_id
    yield "to client", f"{grant.client_id}, registration {grant.client_registration}"
    yield "consented", _access(grant.consented)
    yield "newest token", _access(grant.access)
    yield "generation", str(grant.generation)
    yield "opened", _at(grant.opened_at)
    yield "issued", _at(grant.issued_at)
    yield "access token", _until(grant.access_expires_at, live=grant.access_token_live)
    if grant.refresh_expires_at is not None:
        yield "refresh token", _until(grant.refresh_expires_at, live=grant.refresh_token_live)
    if grant.expires_at is not None:
        yield "limit", _at(grant.expires_at)
    yield "events", str(grant.version)


def _past_client(client: PastClient) -> Iterator[tuple[str, str]]:
    yield "client", client.client_id
    yield "status", client.status
    yield "name", client.metadata.client_name or ""
    yield "registration", f"{client.registration}, at {_at(client.registered_at)}"
    yield "authenticates", client.metadata.token_endpoint_auth_method
    for uri in client.metadata.redirect_uris:
        yield "redirect URI", uri
    yield "scope", client.metadata.scope
    yield "events", str(client.version)


def _past_user(user: PastUser) -> Iterator[tuple[str, str]]:
    yield "user", user.user_id
    yield "status", user.status
    yield "opened", _at(user.opened_at)
    yield "roles", ", ".join(user.roles) or "none"
    yield "events", str(user.version)


def _access(access: Access) -> str:
    return f"{' '.join(access.scopes)} at {access.resource}"


def _until(expires_at: int, *, live: bool) -> str:
    return f"{'live' if live else 'refused'}, expiry {_at(expires_at)}"


def _at(seconds: int) -> str:
    return f"{to_second(seconds)} UTC"
