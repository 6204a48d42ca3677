import sys

import rich_click as click

from grantledger import __version__
from grantledger.entrypoints.cli.client import client
from grantledger.entrypoints.cli.completion import completion
from grantledger.entrypoints.cli.demo import demo
from grantledger.entrypoints.cli.failures import told
from grantledger.entrypoints.cli.grant import grant
from grantledger.entrypoints.cli.keys import keys
from grantledger.entrypoints.cli.ledger import ledger
from grantledger.entrypoints.cli.migrate import migrate
from grantledger.entrypoints.cli.secret import secret
from grantledger.entrypoints.cli.serve import serve
from grantledger.entrypoints.cli.settings import settings
from grantledger.entrypoints.cli.user import user


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="grantledger")
def cli() -> None:
    """An OAuth 2.1 authorization server for MCP clients, on a ledger that can be replayed.

    Settings come from `grantledger.toml`, from `GRANTLEDGER_*` variables, and from options, the last of
    which win.
    """


for command in (demo, serve, migrate, user, client, grant, keys, secret, ledger, settings, completion):
    cli.add_command(command)


def main() -> None:
    """Run a command; what the operator can mend is said in one sentence, with exit code 1."""
    with told():
        sys.exit(cli(standalone_mode=True))
