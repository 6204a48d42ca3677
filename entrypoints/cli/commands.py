"""All commands by name. Each is imported when it is used."""

import sys
from importlib import import_module

import rich_click as click

from grantledger import __version__
from grantledger.entrypoints.cli.failures import report_failures

_FILES = {
    "client": "client",
    "completion": "serve",
    "demo": "demo",
    "doctor": "doctor",
    "grant": "grant",
    "keys": "keys",
    "ledger": "ledger",
    "migrate": "serve",
    "registration-token": "registration_token",
    "resource": "resource",
    "secret": "secret",
    "serve": "serve",
    "settings": "settings",
    "user": "user",
}
"""The file in this directory that defines each command."""


class LazyGroup(click.RichGroup):
    """A group that imports a command when it is called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_FILES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _FILES:
            return None
        command: click.Command = getattr(
            import_module(f"grantledger.entrypoints.cli.{_FILES[cmd_name]}"), cmd_name.replace("-", "_")
        )
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="grantledger")
def cli() -> None:
    """An OAuth 2.1 authorization server for MCP that records every change as an event.

    Settings come from `grantledger.toml`, from `GRANTLEDGER_*` variables, and from options. Options override
    variables, and variables override the file.
    """


def run() -> None:
    """Run the command that the arguments name, and report what an operator can fix."""
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            sys.stderr.write("grantledger: an argument is not written in UTF-8\n")
            sys.exit(2)
    with report_failures():
        sys.exit(cli(standalone_mode=True))
