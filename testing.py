"""For the tests of an MCP server: a server in their process, with users, and tokens without a browser.

`async with local_issuer() as local:` in a program, or `pytest_plugins = ["grantledger.testing"]` in a
`conftest.py` and the fixture `grantledger_issuer` in a test. It needs the extra `server`. The fixture also
needs the setting `anyio_mode = "auto"` of pytest, or `asyncio_mode = "auto"` with pytest-asyncio.
"""

from collections.abc import AsyncIterator

try:
    from grantledger.entrypoints.testing import RESOURCE, USER, LocalIssuer, local_issuer
except ModuleNotFoundError as error:
    message = "grantledger.testing needs the authorization server: pip install 'grantledger[server]'"
    raise ModuleNotFoundError(message, name=error.name) from error

__all__ = ["RESOURCE", "USER", "LocalIssuer", "local_issuer"]

try:
    import pytest
except ImportError:  # the context manager needs no pytest
    pass
else:

    @pytest.fixture
    async def grantledger_issuer() -> AsyncIterator[LocalIssuer]:
        """A server of its own for each test."""
        async with local_issuer() as local:
            yield local
