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
    help="The port on 127.0.0.1; 0 takes any that is free. [default: 8434]",
)
@click.option("--email", default="ada@example.com", metavar="ADDRESS", help="The demo user's e-mail address.")
@click.option("--password", metavar="TEXT", help="The demo user's password. [default: a new one, shown]")
@click.option("--once", is_flag=True, help="End after the walk: exit code 0 if every step passed, 1 if not.")
@click.option("--serve-only", is_flag=True, help="Leave the walk out and stay up.")
def demo(port: int, email: str, password: str | None, *, once: bool, serve_only: bool) -> None:
    """Walk the whole flow with a real MCP client, show the ledger of it, then stay up for yours.

    Starts the server in a process of its own, with a demo user, two MCP servers and a ledger that is
    thrown away in the end.
    """
    if once and serve_only:
        raise click.UsageError("--once ends after the walk that --serve-only leaves out: give one of them.")
    try:
        normalized(email)
    except EmailInvalid:
        raise click.BadParameter(f"{email!r} is not an e-mail address", param_hint="--email") from None
    if password is not None and len(password) < MIN_PASSWORD:
        raise click.BadParameter(f"needs at least {MIN_PASSWORD} characters", param_hint="--password")
    if find_spec("mcp") is None:
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
