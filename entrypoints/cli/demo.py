"""`grantledger demo`."""

from importlib.util import find_spec

import rich_click as click

from grantledger.domain.email_address import EmailInvalid, normalized
from grantledger.domain.password import MIN_PASSWORD


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8434,
    metavar="PORT",
    help="The port on 127.0.0.1; 0 means any free port. [default: 8434]",
)
@click.option("--email", default="ada@example.com", metavar="ADDRESS", help="The demo user's e-mail address.")
@click.option(
    "--password", metavar="TEXT", help="The demo user's password. [default: a random one, which is printed]"
)
@click.option(
    "--once", is_flag=True, help="Exit after the flow, with 0 if every step passed, otherwise with 1."
)
@click.option("--serve-only", is_flag=True, help="Only serve; do not run the flow.")
def demo(port: int, email: str, password: str | None, *, once: bool, serve_only: bool) -> None:
    """Run the whole flow with a real MCP client, print the ledger, then wait for your own client.

    Starts the server in a process of its own, with a demo user, two MCP servers and a temporary ledger, which
    is deleted at the end.
    """
    if once and serve_only:
        raise click.UsageError(
            "--once exits after the flow, and --serve-only does not run it: give one of them."
        )
    try:
        normalized(email)
    except EmailInvalid:
        raise click.BadParameter(f"{email!r} is not an e-mail address", param_hint="--email") from None
    if password is not None and len(password) < MIN_PASSWORD:
        raise click.BadParameter(f"needs at least {MIN_PASSWORD} characters", param_hint="--password")
    if any(find_spec(name) is None for name in ("bs4", "mcp")):
        # On one line, for copying.
        click.secho(
            "grantledger: the demo needs an MCP client and MCP servers: pip install 'grantledger[demo]'",
            fg="red",
            err=True,
        )
        raise SystemExit(1)
    from grantledger.entrypoints.demo.run import DemoOptions, run_demo

    options = DemoOptions(port=port, email=email, password=password, once=once, serve_only=serve_only)
    raise SystemExit(0 if run_demo(options) else 1)
