"""Install the packages that tests need before the tests, so that no download counts as time of a test."""

import sys

import pytest

from support import better_auth_servers, mcp_use, node_clients

if __name__ == "__main__":
    for installed in (node_clients.installed, better_auth_servers.installed, mcp_use.installed):
        try:
            installed()
        except pytest.skip.Exception as reason:
            sys.stdout.write(f"Tests will be skipped: {reason}\n")
        except pytest.fail.Exception as reason:
            sys.exit(str(reason))
