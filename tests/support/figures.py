"""What a long profile measured, told beside its result."""

import pytest


def tell(config: pytest.Config, line: str) -> None:
    """Write the line to the terminal, whether output is captured or not."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    reporter.ensure_newline()
    reporter.write_line(line)
