"""`grantledger serve`, `grantledger migrate` and `grantledger completion`."""

import os
from pathlib import Path

import rich_click as click
from click.shell_completion import get_completion_class

from grantledger.entrypoints.cli.ledger_access import database_options, given, json_option, settings_of
from grantledger.entrypoints.cli.output import print_record

_COMPLETION_VARIABLE = "_GRANTLEDGER_COMPLETE"


@click.command()
@click.option("--host", metavar="ADDRESS", help="The address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="The port. [default: 8000]")
@click.option(
    "--workers", type=click.IntRange(1, 64), metavar="N", help="How many processes serve. [default: 1]"
)
@database_options
def serve(
    host: str | None, port: int | None, workers: int | None, database: str | None, config: Path | None
) -> None:
    """Run the authorization server over HTTP.

    On loopback no settings are needed: the first start creates the database, and a file with a master secret
    next to it. On any other host, `issuer`, a master secret and a database file must be configured.
    """
    from grantledger.adapters.ledger import migrations
    from grantledger.entrypoints.composition import Container
    from grantledger.entrypoints.server import create_app, run
    from grantledger.entrypoints.settings_sources import load_settings

    settings = load_settings(
        config, os.environ, given(host=host, port=port, workers=workers, database=database)
    )
    container = Container(settings)
    file = container.database()  # first, to report a missing directory before a secret is written there
    app = create_app(container)
    # The server migrates too, but it would print a traceback for a database that cannot be opened.
    migrations.migrate(file)
    file.engine.dispose()  # workers are forks of this process, and must not share a connection
    run(app, settings)


@click.command()
@json_option
@database_options
def migrate(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Create the database, or upgrade it to the schema of this release.

    The upgrade is one transaction, and never rewrites stored events.
    """
    from grantledger.adapters.ledger import migrations
    from grantledger.entrypoints.databases import database_of

    ledger = database_of(settings_of(database, config))
    before = migrations.migrate(ledger)
    after = migrations.current(ledger)
    if as_json:
        print_record({"database": ledger.name, "revision": after, "before": before})
        return
    click.echo(f"{ledger.name} is at revision {after}" + ("" if before != after else ", as it was"))


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets your shell complete commands and options.

    bash: write `eval "$(grantledger completion bash)"` into ~/.bashrc.

    zsh: write `eval "$(grantledger completion zsh)"` into ~/.zshrc.

    fish: run `grantledger completion fish > ~/.config/fish/completions/grantledger.fish`.
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(ctx.find_root().command, {}, "grantledger", _COMPLETION_VARIABLE).source())
