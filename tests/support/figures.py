"""What a long profile measured, printed next to its result."""

import pytest
from _pytest.capture import CaptureManager


def tell(config: pytest.Config, line: str) -> None:
    """Print the line, whether output is captured or not."""
    capturing = config.pluginmanager.get_plugin("capturemanager")
    assert isinstance(capturing, CaptureManager)
    with capturing.global_and_fixture_disabled():
        print(f"\n{line}", flush=True)  # noqa: T201 - that is what it is for
