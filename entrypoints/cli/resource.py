"""`grantledger resource`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from grantledger.domain.refusal import Refusal
from grantledger.domain.resource import ALL_RESOURCES, RESOURCES, HeldResource, Resources
from grantledger.domain.resource_indicator import Resource, checked_identifier, same
from grantledger.domain.scope import checked_token
from grantledger.domain.signing_keys import ALGORITHMS
from grantledger.entrypoints.cli.failures import ResourceNotChanged
from grantledger.entrypoints.cli.ledger_access import (
    access_token_option,
    database_options,
    json_option,
    on_ledger,
    operator_options,
    this_command,
)
from grantledger.entrypoints.cli.output import Record, print_facts, print_record, print_table, to_minute

if TYPE_CHECKING:
    from grantledger.application.resources.administer_resources import NewResourceSecret
    from grantledger.entrypoints.composition import Container


@click.group()
def resource() -> None:
    """Add, list and remove resources: MCP servers for which tokens are issued.

    A resource can have an id and a secret, with which its server asks about access tokens at /introspect (RFC
    7662). Resources that the settings name are listed too, and can also have a secret.
    """


def _usable(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _identifier(_: click.Context, __: click.Parameter, identifier: str) -> str:
    return _usable(checked_identifier, identifier)


def _scopes(_: click.Context, __: click.Parameter, scopes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_usable(checked_token, token) for text in scopes for token in text.split())


@resource.command()
@click.argument("identifier", callback=_identifier)
@click.option("--name", default="", metavar="NAME", help="What the consent page calls it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    callback=_scopes,
    metavar="SCOPE",
    help="A scope of the resource, in addition to the server's own. May be repeated.",
)
@click.option(
    "--jwt",
    type=click.Choice(ALGORITHMS),
    help="Issue JWTs (RFC 9068), signed with this algorithm. Without it, access tokens are opaque.",
)
@access_token_option
@json_option
@operator_options
def add(
    identifier: str,
    *,
    name: str,
    scopes: tuple[str, ...],
    access_token_expires_in: int | None,
    jwt: str | None,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Issue tokens for an MCP server, and print its id and secret for /introspect.

    IDENTIFIER is its URL, as clients name it. The secret is not shown again. Running servers need no restart.
    If the settings name the resource already, the command only makes the id and secret.
    """

    async def work(container: "Container") -> None:
        from grantledger.entrypoints.settings import check_access_token_lifetime

        in_settings = any(same(identifier, each.identifier) for each in _of_settings(container))
        if in_settings and (name or scopes or access_token_expires_in or jwt):
            raise ResourceNotChanged(
                f"the settings name {identifier!r}: give no options here, because the settings have them"
            )
        added = Resource(identifier, name, tuple(dict.fromkeys(scopes)), access_token_expires_in or None, jwt)
        with _reported():
            check_access_token_lifetime(container.settings, added.access_token_expires_in)
            new = await container.use_cases().add_resource(added, this_command())
        _print_secret(new, as_json=as_json)

    on_ledger(database, config, work)


@resource.command("list")
@json_option
@database_options
def list_resources(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """List the resources, the default one first. Secrets are not stored. Times are UTC."""

    async def work(container: "Container") -> None:
        held = (await container.ledger().load(RESOURCES, ALL_RESOURCES)).state or Resources()
        records = list(_records(_of_settings(container), held))
        if as_json:
            for record in records:
                print_record(record)
        else:
            columns = ("resource", "name", "scopes", "from", "id of its server")
            print_table(columns, [_row(record) for record in records])

    on_ledger(database, config, work)


@resource.command("rotate-secret")
@click.argument("named", metavar="RESOURCE")
@click.option("--compromised", is_flag=True, help="Refuse the previous secret at once.")
@json_option
@operator_options
def rotate_secret(
    named: str, *, compromised: bool, as_json: bool, database: str | None, config: Path | None
) -> None:
    """Make a new secret for a resource, and print it. It is not shown again.

    RESOURCE is its URL or id. The previous secret is accepted for another hour.
    """

    async def work(container: "Container") -> None:
        with _reported():
            new = await container.use_cases().rotate_resource_secret(
                named, this_command(), compromised=compromised
            )
        _print_secret(new, as_json=as_json)

    on_ledger(database, config, work)


@resource.command()
@click.argument("named", metavar="RESOURCE")
@json_option
@operator_options
def remove(named: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Remove a resource. Its tokens and its secret are refused from then on.

    RESOURCE is its URL or id. Running servers refuse it within a second. Its grants are kept: they are valid
    again if it is added again. If the settings name the resource, only its id and secret are removed.
    """

    async def work(container: "Container") -> None:
        with _reported():
            await container.use_cases().remove_resource(named, this_command())
        stays = any(same(named, each.identifier) for each in _of_settings(container))
        if as_json:
            print_record({"resource": named, "status": "secret removed" if stays else "removed"})
        elif stays:
            click.echo(f"The secret of {named} is removed. The settings still name the resource.")
        else:
            click.echo(f"{named} is removed.")

    on_ledger(database, config, work)


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (Refusal, ValueError) as refusal:
        raise ResourceNotChanged(str(refusal)) from None


def _of_settings(container: "Container") -> tuple[Resource, ...]:
    return container.settings.protected_resources


def _records(configured: tuple[Resource, ...], held: Resources) -> Iterator[Record]:
    for each in configured:
        credentials = next((one for one in held.resources if same(one.identifier, each.identifier)), None)
        yield _record(each, "settings", credentials)
    for one in held.resources:
        if not any(same(one.identifier, each.identifier) for each in configured):
            # With `in_settings`, only its secret is left: no tokens are issued for it any more.
            source = "removed from the settings" if one.in_settings else "command"
            yield _record(one.offered, source, one)


def _record(offered: Resource, source: str, held: HeldResource | None) -> Record:
    return {
        "resource": offered.identifier,
        "name": offered.name,
        "scopes": list(offered.scopes),
        "access_token_expires_in": offered.access_token_expires_in,
        "jwt": offered.jwt,
        "from": source,
        "id": held.resource_id if held else None,
        "added_at": held.added_at if held else None,
    }


def _row(record: Record) -> tuple[str, ...]:
    added = f" ({to_minute(record['added_at'])})" if record["added_at"] is not None else ""
    server = f"{record['id']}{added}" if record["id"] else "none"
    return (record["resource"], record["name"], " ".join(record["scopes"]), record["from"], server)


def _print_secret(new: "NewResourceSecret", *, as_json: bool) -> None:
    held = new.resource
    if as_json:
        print_record({"resource": held.identifier, "id": held.resource_id, "secret": new.secret})
    else:
        print_facts([("resource", held.identifier), ("id", held.resource_id), ("secret", new.secret)])
