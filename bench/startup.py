"""What it costs to start a command, in CPU seconds and as multiples of `import rich_click`.

    .venv/bin/python bench/startup.py [--runs N] [PYTHON ...]

Each PYTHON is the interpreter of an environment that has Grantledger installed; the default is this one. All
are measured in turns, in one run, and with their bytecode cached. Prints a Markdown table.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

TARGETS = {
    "import rich_click": 1,
    "completion bash": 2,
    "user li<TAB>": 2,
    "--help": 3,
    "user list": 8,
    "ledger show": 8,
    "serve, first answer": 15,
    "demo --serve-only, first answer": 28,
}
_TICKS = os.sysconf("SC_CLK_TCK")
_START_WITHIN = 60
_OPEN = build_opener(ProxyHandler({})).open  # no proxy between programs of one machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="how often each is run; the median counts")
    parser.add_argument("pythons", metavar="PYTHON", nargs="*", type=Path, default=[Path(sys.executable)])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measures = [
            _measures(python, Path(folder) / str(number)) for number, python in enumerate(given.pythons)
        ]
        seconds: list[dict[str, list[float]]] = [{name: [] for name in TARGETS} for _ in measures]
        for turn in range(given.runs + 1):
            for name in TARGETS:
                for measure, taken in zip(measures, seconds, strict=True):
                    cost = measure[name]()
                    if turn:  # the first one may have compiled modules
                        taken[name].append(cost)
    for python, taken in zip(given.pythons, seconds, strict=True):
        _print(python, {name: statistics.median(costs) for name, costs in taken.items()})


def _print(python: Path, medians: dict[str, float]) -> None:
    unit = medians["import rich_click"]
    print(f"\n{python}\n\n| start | CPU s | multiple | target |\n|---|---:|---:|---:|")
    for name, cost in medians.items():
        print(f"| `{name}` | {cost:.2f} | {cost / unit:.1f} | {TARGETS[name]} |")


def _measures(python: Path, folder: Path) -> dict[str, Callable[[], float]]:
    """Return, by name, functions that start the program once and return its CPU seconds."""
    folder.mkdir()
    command = str(python.absolute().with_name("grantledger"))
    _cpu_of(
        [command, "user", "add", "ada@example.com", "--password-stdin"], folder, stdin="a good password\n"
    )
    completing = {
        "_GRANTLEDGER_COMPLETE": "bash_complete",
        "COMP_WORDS": "grantledger user li",
        "COMP_CWORD": "2",
    }
    return {
        "import rich_click": partial(_cpu_of, [str(python.absolute()), "-c", "import rich_click"], folder),
        "completion bash": partial(_cpu_of, [command, "completion", "bash"], folder),
        "user li<TAB>": partial(_cpu_of, [command], folder, completing),
        "--help": partial(_cpu_of, [command, "--help"], folder),
        "user list": partial(_cpu_of, [command, "user", "list"], folder),
        "ledger show": partial(_cpu_of, [command, "ledger", "show"], folder),
        "serve, first answer": partial(_cpu_until_answer, [command, "serve"], folder),
        "demo --serve-only, first answer": partial(
            _cpu_until_answer, [command, "demo", "--serve-only"], folder
        ),
    }


def _cpu_of(arguments: list[str], folder: Path, more: dict[str, str] | None = None, stdin: str = "") -> float:
    environment = _environment() | (more or {})
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return usage.ru_utime + usage.ru_stime


def _cpu_until_answer(arguments: list[str], folder: Path) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with _running([*arguments, "--port", str(port)], folder) as process:
        deadline = time.monotonic() + _START_WITHIN
        while not _answers(port):
            assert process.poll() is None, arguments
            assert time.monotonic() < deadline, arguments
            time.sleep(0.01)
        return sum(map(_cpu_so_far, _family(process.pid)))


@contextmanager
def _running(arguments: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        arguments, cwd=folder, env=_environment(), stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _environment() -> dict[str, str]:
    """Return the variables of this process without those that keep Python from caching bytecode."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _answers(port: int) -> bool:
    try:
        _OPEN(f"http://127.0.0.1:{port}/.well-known/oauth-authorization-server", timeout=5).close()
    except (URLError, ConnectionError):
        return False
    return True


def _family(pid: int) -> Iterator[int]:
    """Yield the process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parents[int(path.parent.name)] = int(_stat(path)[1])
    found = [pid]
    while found:
        parent = found.pop()
        yield parent
        found += [child for child, its_parent in parents.items() if its_parent == parent]


def _cpu_so_far(pid: int) -> float:
    """Return the CPU seconds of a process, with those of its children that have ended."""
    return sum(map(int, _stat(Path(f"/proc/{pid}/stat"))[11:15])) / _TICKS


def _stat(path: Path) -> list[str]:
    """Return the fields of proc(5) behind the name of the process: state, parent, ..."""
    return path.read_text().rpartition(")")[2].split()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
