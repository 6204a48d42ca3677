"""Commands in separate processes, without the seconds that the imports of each would take.

They are forked from a process that has imported the command line and done nothing else.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PRELOADED = [
    *(f"grantledger.entrypoints.cli.{path.stem}" for path in (ROOT / "entrypoints" / "cli").glob("*.py")),
    "grantledger.entrypoints.server",
]

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(_PRELOADED)


def run_command(
    arguments: tuple[str, ...],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stdin: str,
    timeout: float,
) -> subprocess.CompletedProcess[str]:
    """Run a `grantledger` command to its end. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""
    with tempfile.TemporaryDirectory() as directory:
        streams = Path(directory)
        (streams / "0").write_text(stdin)
        process = _FORKING.Process(target=_command, args=(arguments, cwd, dict(environment), streams))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        said, complaint = ((streams / name).read_text() for name in "12")
        return subprocess.CompletedProcess(arguments, process.exitcode, said, complaint)


def _command(arguments: tuple[str, ...], cwd: Path, environment: Mapping[str, str], streams: Path) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY | os.O_CREAT), (2, os.O_WRONLY | os.O_CREAT)):
        os.dup2(os.open(streams / str(number), flags, 0o600), number)
    sys.stdin = os.fdopen(0)
    sys.argv = ["grantledger", *arguments]
    from grantledger.entrypoints.cli import main  # noqa: PLC0415 - imported already where this is forked

    main()
