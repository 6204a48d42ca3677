"""`grantledger doctor`. The same options are in doctor_alone.py, for an installation without the server."""

import rich_click as click

from grantledger.entrypoints.cli.ledger_access import json_option


@click.command()
@click.argument("url")
@click.option("--active", is_flag=True, help="Also register clients and sign in; at the end all is revoked.")
@click.option("--no-browser", is_flag=True, help="With --active, print the URLs and open no browser.")
@click.option("--all", "everything", is_flag=True, help="Also show the checks that have passed.")
@json_option
def doctor(url: str, *, active: bool, no_browser: bool, everything: bool, as_json: bool) -> None:
    """Examine an MCP server and its authorization server from the outside, as known clients use them.

    URL is the MCP server, or an issuer. They may be of any vendor. Exits with 0 if there is no fault, with 1
    if there is one, and with 2 if nothing answers, or if the examination ends early and has found no fault.
    Without --active no request changes anything.
    """
    from grantledger.entrypoints.doctor_run import DoctorOptions, run_doctor

    options = DoctorOptions(
        url=url, active=active, as_json=as_json, everything=everything, open_browser=not no_browser
    )
    raise SystemExit(run_doctor(options))
