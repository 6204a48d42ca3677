"""Servers that are killed, disks that fail, clients that hang up."""

from pathlib import Path

import pytest

from faults.disk import built_shim


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that is preloaded into a server to intercept its calls to the disk."""
    return built_shim(tmp_path_factory.mktemp("shim"))
