"""Servers that are killed, disks that fail, clients that hang up."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
