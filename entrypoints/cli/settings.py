"""`grantledger settings`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import rich_click as click

from grantledger.entrypoints.cli.ledger_access import database_options, given, json_option
from grantledger.entrypoints.cli.output import print_record, print_table

if TYPE_CHECKING:
    from grantledger.entrypoints.settings import Settings


@click.group()
def settings() -> None:
    """Show and check the settings."""


@settings.command()
@click.option("--online", is_flag=True, help="Also ask the running server at its issuer's URL, as a client.")
@json_option
@database_options
def check(*, online: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Check the settings for `grantledger serve`, and print every fault with its source.

    Exits with 1 if there is a fault. Reads the file, the variables and the master secret; changes nothing and
    does not open the database. With --online it finds a proxy that does not fit the settings.
    """
    from grantledger.entrypoints.settings import SettingsInvalid, origin_doubts, proxy_doubts, role_doubts
    from grantledger.entrypoints.settings_sources import load_settings, settings_faults

    overrides = given(database=database)
    faults = settings_faults(config, os.environ, overrides)
    doubts: list[str] = []
    if not faults:
        loaded = load_settings(config, os.environ, overrides)
        doubts = proxy_doubts(loaded) + origin_doubts(loaded) + role_doubts(loaded)
        try:
            _check_for_serving(config, overrides)
        except SettingsInvalid as invalid:
            faults = [invalid]
        if online and not faults:
            from grantledger.entrypoints.online_check import online_faults

            faults = online_faults(loaded)
    if as_json:
        listed = [{"setting": fault.key, "fault": str(fault)} for fault in faults]
        print_record({"good": not faults, "faults": listed, "doubts": doubts})
    for doubt in doubts:
        click.secho(f"grantledger: {doubt}", fg="yellow", err=True)
    for fault in faults[:-1]:
        click.secho(f"grantledger: {fault}", fg="red", err=True)
    if faults:
        raise faults[-1]
    if not as_json:
        click.echo("The settings are good.")


@settings.command()
@json_option
@database_options
def show(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Show every setting with its value and its source. Secrets are hidden."""
    from grantledger.entrypoints.settings import Settings
    from grantledger.entrypoints.settings_sources import given_settings, load_settings

    overrides = given(database=database)
    effective = load_settings(config, os.environ, overrides)
    sources = {
        key: one.source.replace("the command line", f"--{key}")
        for key, one in given_settings(config, os.environ, overrides).items()
    }
    rows = [(key, _value(effective, key), sources.get(key, "default")) for key in Settings.__struct_fields__]
    if as_json:
        for key, value, source in rows:
            print_record({"setting": key, "value": value, "source": source})
    else:
        print_table(
            ("setting", "value", "from"), [(key, _text(value), source) for key, value, source in rows]
        )


def _check_for_serving(config: Path | None, overrides: Mapping[str, Any]) -> None:
    from grantledger.entrypoints.exposed_files import check_database_closed
    from grantledger.entrypoints.master_secret import configured_master_secrets
    from grantledger.entrypoints.settings import SettingsInvalid, check_identity
    from grantledger.entrypoints.settings_sources import given_settings, load_settings, with_source

    loaded = load_settings(config, os.environ, overrides)
    try:
        check_identity(loaded, by_host=False)
    except SettingsInvalid as invalid:
        raise with_source(invalid, given_settings(config, os.environ, overrides)) from None
    configured_master_secrets(loaded)
    check_database_closed(loaded)


def _value(effective: "Settings", key: str) -> Any:
    """Return the effective value, which may be a default. Of secrets, return only their number."""
    shown = dict(effective.__rich_repr__())
    if key not in shown:
        number = len(getattr(effective, key))
        return f"{number} hidden" if number else None
    if key == "issuer":
        return effective.issuer_identifier
    if key == "roles":
        return [{"role": name, **msgspec.to_builtins(role)} for name, role in effective.roles.items()]
    if key == "resources":
        return msgspec.to_builtins(effective.resources or effective.protected_resources)
    return msgspec.to_builtins(shown[key])


def _text(value: Any) -> str:
    match value:
        case None | [] | ():
            return "none"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(_text(item) for item in value)
        case dict():
            return " ".join(_text(part) for part in value.values() if part)
        case _:
            return str(value)
