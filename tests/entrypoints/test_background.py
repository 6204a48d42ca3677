"""Work in the background goes on after an error."""

import logging

import pytest

from grantledger.entrypoints.background import keep_running


async def test_work_that_fails_is_logged_and_starts_again(caplog: pytest.LogCaptureFixture):
    runs: list[str] = []

    async def work() -> None:
        runs.append("run")
        if len(runs) == 1:
            raise RuntimeError("unexpected")

    await keep_running(work, pause=0)
    assert runs == ["run", "run"]
    (record,) = caplog.records
    assert (record.levelno, record.exc_info is not None) == (logging.CRITICAL, True)
