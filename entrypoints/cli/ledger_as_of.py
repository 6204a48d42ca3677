"""A client or a grant as it was, for people and for programs."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from grantledger.application.history.as_of import PastClient, PastGrant
from grantledger.domain.token_grant import Access
from grantledger.entrypoints.cli.failures import NotThereThen
from grantledger.entrypoints.cli.output import print_facts, print_record, second
from grantledger.entrypoints.cli.running import checked
from grantledger.entrypoints.container import Container

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Past = PastClient | PastGrant


def show_as_of(
    database: str | None,
    config: Path | None,
    moment: datetime,
    *,
    client: str | None,
    grant: str | None,
    as_json: bool,
) -> None:
    """Print one of the two. Raises `NotThereThen`."""
    moment = moment.astimezone(UTC)
    at = moment.isoformat().replace("+00:00", "Z")

    # Without the ledger itself: a copy of it is read without its master secret.
    container = checked(database, config)
    found = asyncio.run(_found(container, (moment - _EPOCH) // timedelta(microseconds=1), client, grant))
    if found is None:
        raise NotThereThen(f"there was no such {'grant' if grant else 'client'} at {at}")
    if as_json:
        print_record({"as_of": at, **msgspec.to_builtins(found)})
    else:
        facts = _grant(found) if isinstance(found, PastGrant) else _client(found)
        print_facts((("as of", at), *facts))


async def _found(container: Container, moment: int, client: str | None, grant: str | None) -> Past | None:
    if grant is not None:
        return await container.read_grant_as_of()(grant, moment)
    assert client is not None
    return await container.read_client_as_of()(client, moment)


def _grant(grant: PastGrant) -> Iterator[tuple[str, str]]:
    why = f": {grant.revoked}" if grant.revoked else ""
    yield "grant", grant.grant_id
    yield "standing", f"{grant.standing}{why}"
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


def _client(client: PastClient) -> Iterator[tuple[str, str]]:
    yield "client", client.client_id
    yield "standing", client.standing
    yield "name", client.metadata.client_name or ""
    yield "registration", f"{client.registration}, at {_at(client.registered_at)}"
    yield "authenticates", client.metadata.token_endpoint_auth_method
    for uri in client.metadata.redirect_uris:
        yield "redirect URI", uri
    yield "scope", client.metadata.scope
    yield "events", str(client.version)


def _access(access: Access) -> str:
    return f"{' '.join(access.scopes)} at {access.resource}"


def _until(expires_at: int, *, live: bool) -> str:
    return f"{'live' if live else 'refused'}, expiry {_at(expires_at)}"


def _at(seconds: int) -> str:
    return f"{second(seconds)} UTC"
