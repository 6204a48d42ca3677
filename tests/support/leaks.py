"""At the end of a session: no output of the suite holds a secret that the suite made the product issue.

Output is all that tests and servers print: what pytest captures of each test, every `*.log` below the
session's temporary folder, and what commands print (`seen`). Most secrets are found by our prefixes, and ID
tokens by their form. The others, such as passwords, are reported by the tests' own support code (`issued`). A
test whose output is meant to show a secret is marked `shows_secrets`.

Log lines must hold no e-mail address and no query of a URI either. Commands may show both to an operator.
"""

import re
from collections.abc import Generator
from typing import Any

import pytest

_OURS = re.compile(r"gl(?:ac|at|rt|cs|rg|rs)_[A-Za-z0-9_-]{20,}")
_ID_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}")
_PRINTS_A_SECRET = re.compile(
    r"grantledger (client (add|rotate-secret)|registration-token add|resource (add|rotate-secret)) "
)
"""The commands whose purpose it is to print a new secret."""
_WORD = re.compile(r"[A-Za-z0-9_-]{16,}")
_EMAIL = re.compile(r"[\w.+%-]+(?:@|%40)[\w-]+\.[\w.-]+")
_QUERY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/[^\s\"'?\\]*\?[^\s\"'\\[]")
_LOG_LINE = re.compile(r"\bcorrelation_id\b")
_PIECE = 16
"""The number of consecutive characters of a secret that count as a leak."""

_words: dict[str, str] = {}
_phrases: dict[str, str] = {}
_outputs: list[tuple[str, str]] = []
_found: list[str] = []
_LEAKS = "grantledger_leaks"


def issued(kind: str, secret: str) -> None:
    """Register a secret without a recognisable form: a password, a cookie, a form token, a PKCE verifier."""
    words = _WORD.findall(secret)
    for word in words:
        _words[word[:_PIECE]] = kind
    if secret and not words:
        _phrases[secret] = kind


def seen(where: str, output: str) -> None:
    """Search an output that is neither in pytest's capture nor in a log file."""
    if not _PRINTS_A_SECRET.match(where):
        _outputs.append((where, output))


def leaks_in(output: str) -> set[str]:
    """Return the kinds of secrets in the text."""
    found = {kind for phrase, kind in _phrases.items() if phrase in output}
    if _ID_TOKEN.search(output):
        found.add("ID token")
    for word in set(_WORD.findall(output)):
        if _OURS.search(word):
            found.add(word[:4] + "...")
        pieces = (word[start : start + _PIECE] for start in range(len(word) - _PIECE + 1))
        found |= {_words[piece] for piece in pieces if piece in _words}
    return found


def personal_in(output: str) -> set[str]:
    """Return which personal data the log lines in the output hold: none is allowed."""
    lines = [line for line in output.splitlines() if _LOG_LINE.search(line)]
    found = set()
    for name, pattern in (("e-mail address", _EMAIL), ("query of a URI", _QUERY)):
        if any(pattern.search(line) for line in lines):
            found.add(name)
    return found


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shows_secrets: prints a secret to its user on purpose")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.get_closest_marker("shows_secrets") is None and not report.failed:
        for name, content in report.sections:
            _outputs.append((f"{item.nodeid}, {name}", content))
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    base = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # noqa: SLF001
    logs = ((str(path), path.read_text(errors="replace")) for path in sorted(base.rglob("*.log")))
    leaks = [
        f"{where}: {', '.join(sorted(found))}"
        for where, text in (*_outputs, *logs)
        if (found := leaks_in(text) | personal_in(text))
    ]
    if hasattr(session.config, "workeroutput"):  # a worker of pytest-xdist: the controller reports it
        session.config.workeroutput[_LEAKS] = leaks
        return
    _found.extend(leaks)
    if _found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect the leaks of a worker of pytest-xdist; one that crashed has none to report."""
    _found.extend(getattr(node, "workeroutput", {}).get(_LEAKS, ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _found:
        terminalreporter.section("secrets in the output of the suite", red=True)
        for line in _found:
            terminalreporter.line(line)
