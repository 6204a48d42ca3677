"""Mutation testing: change a sample of `domain/` and `application/`, and count the changes that tests notice.

mutmut makes the mutants and runs the tests against each, as `[tool.mutmut]` in `pyproject.toml` says. This
script adds a temporary copy of the tree, a seeded sample, and the report. The sample depends on the source,
the seed and the version of mutmut, not on the machine.
"""

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from difflib import unified_diff
from hashlib import sha256
from importlib.metadata import version
from io import TextIOWrapper
from itertools import takewhile
from math import sqrt
from pathlib import Path

import libcst
from msgspec import Struct, to_builtins
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import read_functions_from_index
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_mutant_name, orig_function_and_class_names_from_key

ROOT = Path(__file__).parents[1]
PACKAGE = "grantledger"


class Mutant(Struct, frozen=True):
    """One change. `outcome` is killed, timeout, survived or untested; `seconds` its tests took."""

    name: str
    file: str
    line: int
    outcome: str
    seconds: float
    diff: str

    @property
    def folder(self) -> str:
        return str(Path(self.file).parent)


class Score(Struct, frozen=True):
    """The outcomes of some mutants. `untested` are those that no test ran."""

    killed: int
    timeout: int
    survived: int
    untested: int

    @property
    def noticed(self) -> int:
        return self.killed + self.timeout

    @property
    def tested(self) -> int:
        return self.noticed + self.survived

    @property
    def total(self) -> int:
        return self.tested + self.untested

    def __str__(self) -> str:
        return (
            f"{_percent(self.noticed, self.tested)}: {self.noticed} of {self.tested}, "
            f"{self.timeout} by timeout; "
            f"counting {self.untested} that no test runs {_percent(self.noticed, self.total)}"
        )


def _percent(part: int, whole: int) -> str:
    """Return the share and its 95 % interval (Wilson)."""
    if not whole:
        return "none"
    z, share = 1.96, part / whole
    middle = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return f"{share:.1%} [{middle - half:.1%}, {middle + half:.1%}]"


def copy_tree(copy: Path) -> None:
    """Copy the tree as mutmut needs it: a package is in a folder of its name."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in set(listed.stdout.split("\0")):
        source = ROOT / name
        if not source.is_file():  # deleted and not yet committed, or the link for type checkers
            continue
        outside = name == "pyproject.toml" or name.startswith("tests/")
        target = copy / name if outside else copy / PACKAGE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def all_mutants() -> list[str]:
    """Return the names of all mutants."""
    return [
        get_mutant_name(path, function)
        for path in walk_mutatable_files()
        for function in mutate_file_contents(str(path), path.read_text(encoding="utf-8")).mutant_names
    ]


def draw(names: list[str], sample: int, seed: int) -> set[str]:
    """Draw a sample by the names of module, function and mutant alone.

    So most of the sample stays the same if files move or other functions change, and two trees can be
    compared without the error of two samples.
    """

    def rank(name: str) -> tuple[bytes, str]:
        key = f"{seed} {'.'.join(name.split('.')[-2:])}"
        return sha256(key.encode()).digest(), name

    return set(sorted(names, key=rank)[:sample])


def test(names: set[str], jobs: int) -> None:
    """Run mutmut on the mutants, and show its progress. Raises `CalledProcessError`."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", f"--max-children={jobs}", *sorted(names)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as mutmut:
        assert mutmut.stdout is not None
        progress = TextIOWrapper(mutmut.stdout, newline="")  # keeps the carriage returns
        for line in takewhile(lambda line: line != "Mutant results\n", progress):
            print(line, end="", flush=True)
        progress.read()  # all the names again
    if mutmut.returncode:
        raise subprocess.CalledProcessError(mutmut.returncode, "mutmut")


def results(names: set[str]) -> list[Mutant]:
    """Read the results of mutmut. Raises `RuntimeError` if a mutant has none."""
    found = []
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        for name in sorted(names & data.exit_code_by_key.keys()):
            line, diff = _change(name, path)
            found.append(
                Mutant(
                    name=name,
                    file=str(path.relative_to(PACKAGE)),
                    line=line,
                    outcome=_outcome(data.exit_code_by_key[name]),
                    seconds=round(data.durations_by_key.get(name, 0), 1),
                    diff=diff,
                )
            )
    if len(found) != len(names):
        raise RuntimeError(f"mutmut tried {len(found)} of {len(names)} mutants")
    return found


def _outcome(exit_code: int | None) -> str:
    """Return the outcome. Every failure is a kill, also if pytest cannot collect the tests."""
    if exit_code is None:
        raise RuntimeError("mutmut did not run all mutants")
    status = status_by_exit_code[exit_code]
    return {"survived": "survived", "timeout": "timeout", "no tests": "untested"}.get(status, "killed")


def _change(name: str, path: Path) -> tuple[int, str]:
    """Return the line of the file on which a mutant begins, and its change."""
    functions = read_functions_from_index(name, path)
    assert functions is not None
    right, wrong = (libcst.Module([function]).code.strip().splitlines() for function in functions)
    diff = list(unified_diff(right, wrong, n=0, lineterm=""))[3:]
    begin = next(i for i, (a, b) in enumerate(zip([*right, ""], [*wrong, ""], strict=False)) if a != b)
    head = next(i for i, line in enumerate(right) if line.startswith(("def ", "async def ")))
    return _first_line(name, path) + begin - head, "\n".join(diff)


def _first_line(name: str, path: Path) -> int:
    function, owner = orig_function_and_class_names_from_key(name)
    body = ast.parse(path.read_text(encoding="utf-8")).body
    if owner is not None:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == owner)
    functions = (node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return next(node.lineno for node in functions if node.name == function)


def score(mutants: list[Mutant]) -> Score:
    counted = Counter(mutant.outcome for mutant in mutants)
    return Score(
        killed=counted["killed"],
        timeout=counted["timeout"],
        survived=counted["survived"],
        untested=counted["untested"],
    )


def run(sample: int, seed: int, jobs: int) -> dict[str, object]:
    """Run a sample of the mutants in the current folder; print the report and return it."""
    began = time.monotonic()
    names = all_mutants()
    drawn = draw(names, sample, seed)
    print(f"{len(drawn)} of {len(names)} mutants, seed {seed}, mutmut {version('mutmut')}", flush=True)
    test(drawn, jobs)
    mutants = results(drawn)
    for mutant in mutants:
        if mutant.outcome in {"untested", "survived"}:
            print(f"\n{mutant.file}:{mutant.line}: {mutant.outcome}\n{mutant.diff}")
    print()
    folders = {}
    for folder in sorted({mutant.folder for mutant in mutants}):
        folders[folder] = score([mutant for mutant in mutants if mutant.folder == folder])
        print(f"{folder}: {folders[folder]}")
    total = score(mutants)
    seconds = round(time.monotonic() - began)
    print(f"score: {total}; {seconds // 60} min {seconds % 60} s")
    return {
        "mutmut": version("mutmut"),
        "seed": seed,
        "population": len(names),
        "seconds": seconds,
        "score": to_builtins(total),
        "folders": to_builtins(folders),
        "mutants": to_builtins(mutants),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=600, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at once")
    parser.add_argument("--json", type=Path, help="a file for the results")
    asked = parser.parse_args()
    output = asked.json.resolve() if asked.json else None
    with tempfile.TemporaryDirectory(prefix="grantledger-mutants-") as copy:
        copy_tree(Path(copy))
        os.chdir(copy)
        try:
            report = run(asked.sample, asked.seed, asked.jobs)
        finally:
            os.chdir(ROOT)
    if output:
        output.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
