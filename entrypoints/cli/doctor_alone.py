"""`grantledger doctor` for an installation without the extra `server`, which the other commands need."""

import argparse
import sys

from grantledger.entrypoints.doctor_run import DoctorOptions, run_doctor


def main(arguments: list[str]) -> None:
    """Run the doctor with the arguments that follow its name, and exit."""
    given = parser().parse_args(arguments)
    options = DoctorOptions(
        url=given.url,
        active=given.active,
        as_json=given.json,
        everything=given.all,
        open_browser=not given.no_browser,
    )
    sys.exit(run_doctor(options))


def parser() -> argparse.ArgumentParser:
    """Return a parser for the same options as in doctor.py."""
    reader = argparse.ArgumentParser(
        prog="grantledger doctor",
        description=(
            "Examine an MCP server and its authorization server from the outside, as known clients use them."
        ),
    )
    reader.add_argument("url", metavar="URL", help="the MCP server, or an issuer")
    reader.add_argument("--active", action="store_true", help="also register clients and sign in")
    reader.add_argument("--no-browser", action="store_true", help="print the URLs and open no browser")
    reader.add_argument("--all", action="store_true", help="also show the checks that have passed")
    reader.add_argument("--json", action="store_true", help="print a JSON object for each check")
    return reader
