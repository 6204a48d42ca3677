"""The command line: `grantledger`."""

from grantledger.entrypoints.cli.main import main

__all__ = ["main"]
