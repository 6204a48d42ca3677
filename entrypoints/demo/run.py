"""The demo: start the server, run the flow, print the ledger, and wait for other clients."""

import logging
import signal
import time

import rich_click as click
from msgspec import Struct
from rich.console import Console

from grantledger.entrypoints.demo.connect import print_how_to_connect
from grantledger.entrypoints.demo.demo_settings import REALM, TO_DO_PATH
from grantledger.entrypoints.demo.passwords import readable_password
from grantledger.entrypoints.demo.process import RunningServer, ServerFailed, free_port, running_server


class DemoOptions(Struct, frozen=True, kw_only=True):
    """`password=None` means a random one."""

    port: int
    email: str
    password: str | None
    once: bool
    serve_only: bool


def run_demo(options: DemoOptions) -> bool:
    """Return whether the flow passed, or True if the options omit it. Raises `KeyboardInterrupt`."""
    # The steps show what fails. The client would log the failure a second time.
    logging.getLogger("mcp").addHandler(logging.NullHandler())
    # SIGTERM ends the server too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    password = options.password or readable_password()
    try:
        with running_server(free_port(options.port), options.email, password) as server:
            return _demonstrate(server, options, password, Console(highlight=False))
    except ServerFailed as failed:
        click.secho(f"grantledger: {failed}", fg="red", err=True)
        return False


def _demonstrate(server: RunningServer, options: DemoOptions, password: str, console: Console) -> bool:
    walking = not options.serve_only
    try:
        console.print(f"[bold]Grantledger demo[/] at {server.origin}\n")
        if walking and not _walked(server, options.email, password, console):
            return False
        walking = False
        if not options.once:
            print_how_to_connect(console, server.origin, server.database, options.email, password)
            console.print("Press Ctrl-C to stop. The ledger is then deleted.")
            _stay_up(server)
    except KeyboardInterrupt:
        if walking:
            raise
        console.print("\nStopped.")
    return True


def _walked(server: RunningServer, email: str, password: str, console: Console) -> bool:
    # Imported here, because importing an MCP client takes a second, and --serve-only does not need it.
    import asyncio  # noqa: PLC0415

    from grantledger.adapters.ledger.history import Filter  # noqa: PLC0415
    from grantledger.adapters.ledger.sqlite import SqliteDatabase  # noqa: PLC0415
    from grantledger.entrypoints.cli.ledger import events_of, print_events  # noqa: PLC0415
    from grantledger.entrypoints.demo.walk import Walk  # noqa: PLC0415

    passed = asyncio.run(Walk(console, server.origin, email, password)())
    console.print("\n[bold]The ledger of this flow[/], as `grantledger ledger show` prints it\n")
    print_events(events_of(SqliteDatabase(server.database), REALM, Filter()), console)
    console.print()
    return passed and asyncio.run(_examined(f"{server.origin}{TO_DO_PATH}", console))


async def _examined(url: str, console: Console) -> bool:
    """Examine the to-do server as `grantledger doctor URL` does. Returns whether there is no fault."""
    from grantledger.adapters.doctor.catalogue import Severity  # noqa: PLC0415
    from grantledger.adapters.doctor.examination import examine  # noqa: PLC0415
    from grantledger.adapters.doctor.http import Http  # noqa: PLC0415
    from grantledger.entrypoints.doctor_run import lines_of  # noqa: PLC0415

    console.print(f"[bold]What clients meet[/], by `grantledger doctor {url}`")
    console.print("A fault or a warning needs your attention. A note is only advice.\n")
    async with Http() as http:
        report = await examine(url, http)
    for line in lines_of(report, width=console.width):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    return not report.of(Severity.FAULT)


def _stay_up(server: RunningServer) -> None:
    # Not wait(), which would not notice a Ctrl-C just before its system call.
    while server.process.poll() is None:
        time.sleep(0.1)
    raise ServerFailed(f"the server at {server.origin} has ended. Its output:\n{server.output()}")
