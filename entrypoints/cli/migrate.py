from pathlib import Path

import rich_click as click

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.entrypoints.cli.options import database_options, json_option, settings_of
from grantledger.entrypoints.cli.output import print_record


@click.command()
@json_option
@database_options
def migrate(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Make the database, or bring it to this release's schema.

    All of it or nothing; what the ledger remembers is never rewritten.
    """
    file = Database(settings_of(database, config).database)
    before = migrations.current(file) if file.path.exists() else None
    migrations.migrate(file)
    after = migrations.current(file)
    if as_json:
        print_record({"database": str(file.path), "revision": after, "before": before})
        return
    click.echo(f"{file.path} is at revision {after}" + ("" if before != after else ", as it was"))
