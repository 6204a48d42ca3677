"""`grantledger client`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import rich_click as click

from grantledger.application.provenance import Caller
from grantledger.domain.authorization_request import remembered_consent_counts
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.refusal import Refusal
from grantledger.entrypoints.cli.failures import ClientNotChanged
from grantledger.entrypoints.cli.ledger_access import (
    access_token_option,
    database_options,
    found_client,
    json_option,
    on_ledger,
    operator_options,
    this_command,
)
from grantledger.entrypoints.cli.output import (
    Columns,
    Part,
    Record,
    items_of,
    part_options,
    print_facts,
    print_list,
    print_record,
    to_minute,
)

if TYPE_CHECKING:
    from grantledger.entrypoints.composition import Container

UseCase = Callable[[str, Caller], Awaitable[None]]

_COLUMNS: Columns = {
    "client": itemgetter("client_id"),
    "name": itemgetter("client_name"),
    "registered": lambda client: to_minute(client["registered_at"]),
    "status": lambda client: client["status"] + (", approved" if client["approved"] else ""),
}


@click.group()
def client() -> None:
    """Add, list, approve, disable, enable and delete clients, and replace their secrets."""


@client.command("list")
@part_options
@json_option
@database_options
def list_clients(
    *,
    limit: int,
    everything: bool,
    after: str | None,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """List the clients, newest registration first, including disabled and deleted ones.

    Clients choose their own names, which are not checked. Times are UTC.
    """
    part = Part(after, None if everything else limit)

    async def work(container: "Container") -> None:
        found = _clients(container, part)
        await print_list(found, as_json=as_json, columns=_COLUMNS, nothing="No client has registered.")

    on_ledger(database, config, work)


@client.command()
@click.argument("client_id")
@json_option
@database_options
def show(client_id: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Show a client, and for which of its redirect URIs a remembered consent skips the consent page.

    `grantledger ledger show --client CLIENT_ID` shows its events.
    """

    async def work(container: "Container") -> None:
        _print(await found_client(container, client_id), as_json=as_json)

    on_ledger(database, config, work)


@client.command()
@click.option("--name", "client_name", required=True, metavar="NAME", help="What the consent page calls it.")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    required=True,
    multiple=True,
    metavar="URI",
    help="Where users are sent back to. May be repeated.",
)
@click.option("--scope", metavar="SCOPES", help="The scopes of its metadata, with spaces between them.")
@click.option(
    "--auth-method",
    type=click.Choice(["client_secret_basic", "client_secret_post"]),
    default="client_secret_basic",
    show_default=True,
    metavar="METHOD",
    help="How it sends the secret: client_secret_basic or client_secret_post. The server accepts both.",
)
@access_token_option
@json_option
@operator_options
def add(
    *,
    client_name: str,
    redirect_uris: tuple[str, ...],
    scope: str | None,
    auth_method: str,
    access_token_expires_in: int | None,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Add a client with a secret, and print its id and secret. The secret is not shown again.

    This is for clients that have fields for an id and a secret, such as Claude's connectors. The client is
    approved, as with `client approve`. It can be added whatever the setting `registration` is.
    """

    async def work(container: "Container") -> None:
        request = RegistrationRequest(
            client_name=client_name,
            redirect_uris=redirect_uris,
            scope=scope,
            token_endpoint_auth_method=auth_method,
        )
        _check_lifetime(container, access_token_expires_in)
        try:
            new = await container.use_cases().add_client(
                request, this_command(), access_token_lifetime=access_token_expires_in or None
            )
        except Refusal as refusal:
            raise ClientNotChanged(f"the client cannot be added: {refusal}") from None
        _print_secret(new.client.client_id, new.secret or "", as_json=as_json)

    on_ledger(database, config, work)


@client.command("set")
@click.argument("client_id")
@access_token_option
@json_option
@operator_options
def set_client(
    client_id: str,
    *,
    access_token_expires_in: int | None,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Change how long the access tokens of a client are valid, from the next one on."""
    if access_token_expires_in is None:
        raise click.UsageError("Give --access-token-expires-in.")

    async def work(container: "Container") -> None:
        await found_client(container, client_id)
        _check_lifetime(container, access_token_expires_in)
        await container.use_cases().limit_access_tokens(
            client_id, access_token_expires_in or None, this_command()
        )
        _print(await found_client(container, client_id), as_json=as_json)

    on_ledger(database, config, work)


@client.command("rotate-secret")
@click.argument("client_id")
@click.option("--compromised", is_flag=True, help="Refuse the previous secret at once.")
@json_option
@operator_options
def rotate_secret(
    client_id: str, *, compromised: bool, as_json: bool, database: str | None, config: Path | None
) -> None:
    """Make a new secret for a client, and print it. It is not shown again.

    The previous secret is accepted for another hour. The grants of the client stay valid. Running servers
    need no restart.
    """

    async def work(container: "Container") -> None:
        await found_client(container, client_id)
        try:
            secret = await container.use_cases().rotate_client_secret(
                client_id, this_command(), compromised=compromised
            )
        except Refusal as refusal:
            raise ClientNotChanged(f"the secret cannot be replaced: {refusal}") from None
        _print_secret(client_id, secret, as_json=as_json)

    on_ledger(database, config, work)


def _print_secret(client_id: str, secret: str, *, as_json: bool) -> None:
    if as_json:
        print_record({"client_id": client_id, "client_secret": secret})
    else:
        print_facts([("client", client_id), ("secret", secret)])


def _check_lifetime(container: "Container", seconds: int | None) -> None:
    """Raise `ClientNotChanged` unless access tokens may have this lifetime. 0 is always allowed."""
    from grantledger.entrypoints.settings import check_access_token_lifetime

    try:
        check_access_token_lifetime(container.settings, seconds or None)
    except ValueError as error:
        raise ClientNotChanged(f"the client {error}") from None


@client.command()
@click.argument("client_id")
@json_option
@operator_options
def disable(client_id: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Refuse a client and all its tokens from the next request on, until it is enabled.

    Running servers need no restart. The grants of the client are kept: when the client is enabled, those that
    have not expired are valid again. `grant revoke --client` ends them permanently.
    """
    on_ledger(database, config, _change(client_id, lambda it: it.use_cases().disable_client, as_json=as_json))


@client.command()
@click.argument("client_id")
@json_option
@operator_options
def enable(client_id: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Accept a disabled client again, with its grants that have not expired."""
    on_ledger(database, config, _change(client_id, lambda it: it.use_cases().enable_client, as_json=as_json))


@client.command()
@click.argument("client_id")
@click.option("--withdraw", is_flag=True, help="Withdraw the approval.")
@json_option
@operator_options
def approve(
    client_id: str, *, withdraw: bool, as_json: bool, database: str | None, config: Path | None
) -> None:
    """Let a remembered consent skip the consent page for a client with a secret, on loopback too.

    For https redirect URIs this needs no approval. On loopback and private schemes any program on the user's
    machine may receive the code, so users see the consent page each time. An approval changes that for
    clients with a secret, because the code is useless without the secret; for public clients it changes
    nothing. `client show` says for each redirect URI whether consent is remembered.
    """
    if withdraw:
        change = _change(client_id, lambda it: it.use_cases().withdraw_approval, as_json=as_json)
    else:
        change = _change(client_id, lambda it: it.use_cases().approve_client, as_json=as_json)
    on_ledger(database, config, change)


@client.command()
@click.argument("client_id")
@json_option
@operator_options
def delete(client_id: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Delete a client. All its tokens are refused from the next request on.

    It may register again, under the same id if it has no secret, but gets none of its grants back.
    """
    on_ledger(database, config, _change(client_id, lambda it: it.use_cases().delete_client, as_json=as_json))


@client.command()
@click.option(
    "--unused-for",
    "days",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="Delete clients that registered at least this many days ago.",
)
@json_option
@operator_options
def prune(*, days: int, as_json: bool, database: str | None, config: Path | None) -> None:
    """Delete clients to which no user has ever given access, and print their ids.

    A running server also does this by itself, after `unused_client_expires_in`. Approved and disabled clients
    are kept. A deleted client may register again.
    """

    async def work(container: "Container") -> None:
        deleted = await container.use_cases().prune_clients(this_command(), unused_for=days * 86_400)
        if as_json:
            print_record({"deleted": deleted})
        else:
            click.echo("\n".join(deleted) or "There is no unused client.")

    on_ledger(database, config, work)


def _change(
    client_id: str, use_case: Callable[["Container"], UseCase], *, as_json: bool
) -> Callable[["Container"], Awaitable[None]]:
    async def work(container: "Container") -> None:
        await found_client(container, client_id)
        await use_case(container)(client_id, this_command())
        _print(await found_client(container, client_id), as_json=as_json)

    return work


async def _clients(container: "Container", part: Part) -> AsyncIterator[Record]:
    async for _, found in items_of(container.ledger().clients, part):
        yield client_record(found)


def _print(found: ClientRegistration, *, as_json: bool) -> None:
    record = client_record(found)
    if as_json:
        print_record(record)
        return
    kind = "public, without a secret" if found.is_public else "confidential, with a secret"
    facts = [
        ("client", found.client_id),
        ("name", found.metadata.client_name or ""),
        ("status", record["status"]),
        ("approved", "yes" if found.approved else "no"),
        ("kind", kind),
        ("registered", f"{to_minute(found.registered_at)} UTC"),
        ("scope", found.metadata.scope),
        ("grant types", " ".join(found.metadata.grant_types)),
    ]
    if found.access_token_lifetime is not None:
        facts.append(("access tokens", f"expire in {found.access_token_lifetime} s at most"))
    for uri, counts in record["remembered_consent"].items():
        facts.append(("redirect URI", uri))
        facts.append(("", "consent is remembered" if counts else "consent is asked for each time"))
    print_facts([(name, value) for name, value in facts if value])


def client_record(client: ClientRegistration) -> Record:
    metadata = msgspec.to_builtins(client.metadata)
    return {
        "client_id": client.client_id,
        "status": _client_status(client),
        "approved": client.approved,
        "public": client.is_public,
        "registered_at": client.registered_at,
        "registration": client.registration,
        "access_token_expires_in": client.access_token_lifetime,
        **metadata,
        "remembered_consent": {
            uri: remembered_consent_counts(client, uri) for uri in client.metadata.redirect_uris
        },
    }


def _client_status(client: ClientRegistration) -> str:
    if client.deleted:
        return "deleted"
    return "disabled" if client.disabled else "active"
