import os
from pathlib import Path

import rich_click as click

from grantledger.adapters.ledger import migrations
from grantledger.entrypoints.cli.options import database_options, given
from grantledger.entrypoints.container import build_container
from grantledger.entrypoints.server import create_app, run
from grantledger.entrypoints.settings_sources import load_settings


@click.command()
@click.option("--host", metavar="ADDRESS", help="The address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="The port. [default: 8000]")
@database_options
def serve(host: str | None, port: int | None, database: str | None, config: Path | None) -> None:
    """Serve the authorization server over HTTP.

    On loopback nothing else is needed: the database and a master secret beside it are made on the first
    start. Anywhere else the issuer, the master secret and a lasting database have to be configured.
    """
    settings = load_settings(config, os.environ, given(host=host, port=port, database=database))
    container = build_container(settings)
    app = create_app(container)
    # Here too, where a database that cannot be is one sentence; inside the server it would be a traceback.
    migrations.migrate(container.database())
    run(app, settings)
