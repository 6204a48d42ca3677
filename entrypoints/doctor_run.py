"""`grantledger doctor`: run the examination and show its findings. Needs no extra."""

import asyncio
import os
import shutil
import sys
import textwrap
import webbrowser
from collections.abc import Iterator
from functools import partial

import msgspec
from msgspec import Struct

from grantledger.adapters.doctor.catalogue import Severity
from grantledger.adapters.doctor.examination import Unreachable, examine
from grantledger.adapters.doctor.http import Http
from grantledger.adapters.doctor.report import Finding, Report, printable
from grantledger.domain.absolute_uri import UriMalformed, parse

NO_FAULT, FAULTS, NOT_EXAMINED = 0, 1, 2
"""The exit codes."""

_PIPE_WIDTH = 100_000
_GAP = "  "
_MIN_WIDTH = 30
_HEADINGS = ("severity", "check, what was seen, and what to do")
_COLOURS = {Severity.FAULT: "31", Severity.WARNING: "33", Severity.NOTE: "36", Severity.OK: "32"}


class DoctorOptions(Struct, frozen=True, kw_only=True):
    url: str
    active: bool = False
    as_json: bool = False
    everything: bool = False
    """Also show the checks that have passed."""

    open_browser: bool = True


def run_doctor(options: DoctorOptions) -> int:
    """Examine the URL, print the findings, and return the exit code."""
    try:
        _check(options.url)
        report = asyncio.run(_examined(options))
    except (ValueError, Unreachable) as error:
        sys.stderr.write(f"grantledger: {error}\n")
        return NOT_EXAMINED
    except KeyboardInterrupt:
        sys.stderr.write("\ngrantledger: interrupted\n")
        return NOT_EXAMINED
    if options.as_json:
        for finding in report.findings:
            sys.stdout.write(msgspec.json.encode(finding.record()).decode() + "\n")
        for sentence in report.left_behind:
            sys.stderr.write(f"grantledger: left behind: {sentence}\n")
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        for line in lines_of(
            report, width=width, coloured=coloured, everything=options.everything, active=options.active
        ):
            sys.stdout.write(f"{line}\n")
    if report.unfinished:
        sys.stderr.write(f"grantledger: not all was checked: {printable(report.unfinished)}\n")
    if report.of(Severity.FAULT):
        return FAULTS
    return NOT_EXAMINED if report.unfinished else NO_FAULT


def lines_of(
    report: Report, *, width: int, coloured: bool = False, everything: bool = False, active: bool = False
) -> Iterator[str]:
    """Yield the report for people: a table of findings, and how many there are."""
    shown = [Severity.FAULT, Severity.WARNING, Severity.NOTE, *([Severity.OK] if everything else [])]
    findings = report.of(*shown)
    yield from _wrapped(f"{report.url}, whose authorization server is {printable(report.issuer)}", width)
    yield ""
    if findings:
        yield from _table(findings, width, coloured=coloured)
        yield ""
    counts = [(severity, len(report.of(severity))) for severity in Severity]
    checked = f"{sum(number for _, number in counts)} checks: "
    yield checked + ", ".join(_count(severity, number) for severity, number in counts)
    if not active:
        yield from _wrapped("--active also checks registration, redemption, refresh and revocation.", width)
    for sentence in report.left_behind:
        yield from _wrapped(f"Left behind: {sentence}", width)


def _count(severity: Severity, number: int) -> str:
    match severity:
        case Severity.OK:
            return f"{number} passed"
        case _:
            return f"{number} {severity.value}{'' if number == 1 else 's'}"


def _table(findings: list[Finding], width: int, *, coloured: bool) -> Iterator[str]:
    first = len(_HEADINGS[0])
    rest = max(width - first - len(_GAP), _MIN_WIDTH)
    yield _bold(_GAP.join(_HEADINGS), coloured=coloured)
    for finding in findings:
        severity = f"{finding.severity.value:<{first}}"
        if coloured:
            severity = f"\x1b[{_COLOURS[finding.severity]}m{severity}\x1b[0m"
        yield f"{severity}{_GAP}{_bold(finding.check.id, coloured=coloured)}"
        for text in _texts(finding):
            for line in _wrapped(text, rest):
                yield f"{'':<{first}}{_GAP}{line}"


def _texts(finding: Finding) -> Iterator[str]:
    """Yield what speaks against the check, then what must hold."""
    check = finding.check
    yield from (f"- seen: {seen}" for seen in finding.seen)
    yield f"- rule: {check.rule} ({check.section})"
    if finding.seen:
        yield f"- clients: {check.clients}"
        yield f"- do: {check.fix}"


def _wrapped(text: str, width: int) -> list[str]:
    """Break the text between words. A word that is longer than a line has lines of its own."""
    indent = "  " if text.startswith("- ") else ""
    lines = textwrap.wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
    return [line[start : start + width] for line in lines for start in range(0, len(line), width)]


def _bold(text: str, *, coloured: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if coloured else text


async def _examined(options: DoctorOptions) -> Report:
    async with Http(progress=_show_progress if sys.stderr.isatty() else None) as http:
        try:
            return await examine(options.url, http, partial(open_url, options) if options.active else None)
        finally:
            if sys.stderr.isatty():
                sys.stderr.write("\r\x1b[K")


async def open_url(options: DoctorOptions, url: str) -> None:
    """Print the URL and open it in the browser of this machine, unless the options say otherwise."""
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{start}Sign in and allow access at\n{printable(url)}\n")
    sys.stderr.flush()
    if options.open_browser:
        await asyncio.to_thread(webbrowser.open, url)


def _show_progress(requests: int) -> None:
    sys.stderr.write(f"\rrequests: {requests}")
    sys.stderr.flush()


def _check(url: str) -> None:
    try:
        uri = parse(url)
    except UriMalformed as malformed:
        raise ValueError(f"{url!r} {malformed}") from None
    if not uri.is_web or uri.userinfo is not None or uri.fragment is not None:
        raise ValueError(f"{url!r} must be an https URL without a user name and without a fragment")
