import os
from pathlib import Path

import rich_click as click

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.entrypoints.cli.options import database_options, given
from grantledger.entrypoints.settings import load_settings


@click.command()
@database_options
def migrate(database: str | None, config: Path | None) -> None:
    """Make the database, or bring it to this release's schema.

    All of it or nothing; what the ledger remembers is never rewritten.
    """
    settings = load_settings(config, os.environ, given(database=database))
    file = Database(settings.database)
    before = migrations.current(file) if file.path.exists() else None
    migrations.migrate(file)
    after = migrations.current(file)
    click.echo(f"{file.path} is at revision {after}" + ("" if before != after else ", as it was"))
