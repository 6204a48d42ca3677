"""For the tests of an MCP server: a server in their process, with users, and tokens without a browser.

`async with local_issuer() as local:` in a program, or `pytest_plugins = ["grantledger.testing"]` in a
`conftest.py` and the fixture `grantledger_issuer` in a test. The server needs the extra `server`.
"""

from collections.abc import AsyncIterator

from grantledger.entrypoints.testing import RESOURCE, USER, LocalIssuer, local_issuer

__all__ = ["RESOURCE", "USER", "LocalIssuer", "local_issuer"]

try:
    import pytest
except ImportError:  # the context manager needs no pytest
    pass
else:

    @pytest.fixture
    async def grantledger_issuer() -> AsyncIterator[LocalIssuer]:
        """A server of its own for each test. Async fixtures need the plugin of anyio or pytest-asyncio."""
        async with local_issuer() as local:
            yield local
