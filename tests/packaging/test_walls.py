"""The walls hold: imports run one way, and a wall broken on purpose is noticed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("domain", "application", "adapters", "entrypoints")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy for tests to break. Its folder has the package's name, so that imports find it."""
    copy = tmp_path / "grantledger"
    for layer in LAYERS:
        shutil.copytree(ROOT / layer, copy / layer, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "__main__.py", "testing.py", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def lint_imports(tree: Path) -> tuple[bool, str]:
    command = (Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache")
    env = os.environ | {"PYTHONPATH": str(tree.parent)}  # before the editable install
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_the_tree_as_it_is_breaks_no_wall(tree: Path) -> None:
    kept, report = lint_imports(tree)
    assert kept, report


@pytest.mark.parametrize(
    ("layer", "statement", "contract"),
    [
        ("domain", "import litestar", "the domain knows no framework, no I/O, no clock and no randomness"),
        ("domain", "import time", "the domain knows no framework, no I/O, no clock and no randomness"),
        ("application", "import sqlalchemy", "the application knows no framework"),
        ("application", "import grantledger.adapters", "imports run one way"),
        ("adapters", "import dependency_injector", "only entrypoints use dependency_injector"),
        ("adapters", "import grantledger.entrypoints", "imports run one way"),
        ("adapters", "import asyncpg", "only the PostgreSQL store uses asyncpg"),
    ],
)
def test_a_wall_broken_on_purpose_is_named(tree: Path, layer: str, statement: str, contract: str) -> None:
    (tree / layer / "broken.py").write_text(f"{statement}\n")
    kept, report = lint_imports(tree)
    assert not kept
    assert f"{contract} BROKEN" in report


def test_a_fifth_layer_is_noticed(tree: Path) -> None:
    (tree / "utils").mkdir()
    (tree / "utils" / "__init__.py").touch()
    kept, report = lint_imports(tree)
    assert not kept
    assert "utils" in report


def test_the_domain_imports_only_msgspec_and_the_standard_library() -> None:
    graph = grimp.build_graph("grantledger", include_external_packages=True, cache_dir=None)
    domain = {"grantledger.domain"} | graph.find_descendants("grantledger.domain")
    imported = {target for module in domain for target in graph.find_modules_directly_imported_by(module)}
    outside = {target for target in imported if target.split(".")[0] != "grantledger"}
    assert outside <= {"msgspec", *sys.stdlib_module_names}


def test_settings_import_no_adapter_and_no_library_but_msgspec() -> None:
    graph = grimp.build_graph("grantledger", include_external_packages=True, cache_dir=None)
    needed = graph.find_upstream_modules("grantledger.entrypoints.settings_sources")
    ours = {".".join(name.split(".")[1:]) for name in needed if name.startswith("grantledger.")}
    assert {name.split(".")[0] for name in ours} <= {"application", "domain", "entrypoints"}
    entrypoints = {name for name in ours if name.startswith("entrypoints")}
    assert entrypoints == {"entrypoints.exposed_files", "entrypoints.settings"}
    libraries = {name for name in needed if not name.startswith("grantledger")}
    assert libraries <= {"msgspec", *sys.stdlib_module_names}


def test_base64url_is_coded_in_one_module() -> None:
    coding = [
        str(path.relative_to(ROOT))
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*.py")
        if re.search(r"\burlsafe_b64(?:en|de)code\b", path.read_text()) or "b2a_base64" in path.read_text()
    ]
    assert coding == ["domain/base64url.py"]
