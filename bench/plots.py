"""Bars of all servers, one panel for each operation, as SVG."""

import html
from collections.abc import Iterator, Mapping, Sequence

from bench import goals
from bench.results import Results
from bench.rounds import of
from bench.summaries import summary
from bench.work import OPERATIONS

WIDTH, COLUMNS = 860, 3
_PANEL, _BAR, _HEAD, _TITLE, _NAMES = 280, 22, 30, 58, 104
_ROOM = 54
"""The space next to a bar for its figure."""

_FONT = 'font-family="system-ui, sans-serif"'
_OURS, _OTHERS, _INK, _FAINT, _GOAL, _FLOOR = "#2563eb", "#a3a9b5", "#1f2430", "#6b7280", "#15803d", "#b91c1c"


def cpu(results: Results) -> str:
    """Return CPU time at 16 connections, with goals and floors where Better Auth 1.6 was measured."""
    panels = {operation: _medians(results, operation, goals.LOAD, "cpu") for operation in OPERATIONS}
    marks = {
        operation: [fraction * bars[goals.RIVAL] for fraction in goals.FRACTIONS[operation]]
        for operation, bars in panels.items()
        if goals.RIVAL in bars
    }
    return _svg("Server CPU time for each operation, in ms, at 16 connections", panels, marks)


def latency(results: Results) -> str:
    """Return the p99 at 64 connections."""
    panels = {operation: _medians(results, operation, goals.CROWD, "p99") for operation in OPERATIONS}
    marks = {
        operation: [bars[goals.SAME_WORK] / 2, bars[goals.RIVAL]]
        for operation, bars in panels.items()
        if {goals.RIVAL, goals.SAME_WORK} <= bars.keys()
    }
    return _svg("Latency that 99 of 100 requests do not exceed, in ms, at 64 connections", panels, marks)


def _medians(results: Results, operation: str, connections: int, figure: str) -> dict[str, float]:
    rounds = {name: of(results.rounds, name, operation, connections) for name in results.titles}
    return {
        name: summary([getattr(each, figure) for each in mine]).median
        for name, mine in rounds.items()
        if mine
    }


def _svg(title: str, panels: Mapping[str, Mapping[str, float]], marks: Mapping[str, Sequence[float]]) -> str:
    rows = -(-len(panels) // COLUMNS)
    deep = _HEAD + _BAR * max(len(bars) for bars in panels.values()) + 18
    height = _TITLE + rows * deep
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {_FONT} fill="{_INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _words(12, 24, title, size=15, weight=600),
    ]
    if marks:
        drawn += [_mark(16, 34, 12, _GOAL), _words(24, 44, "goal", ink=_FAINT)]
        drawn += [_mark(66, 34, 12, _FLOOR), _words(74, 44, "floor", ink=_FAINT)]
    for number, (operation, bars) in enumerate(panels.items()):
        left, top = 12 + number % COLUMNS * _PANEL, _TITLE + number // COLUMNS * deep
        drawn += _panel(left, top, operation, bars, marks.get(operation, ()))
    return "\n".join([*drawn, "</svg>", ""])


def _panel(
    left: int, top: int, operation: str, bars: Mapping[str, float], marks: Sequence[float]
) -> Iterator[str]:
    room = _PANEL - _NAMES - _ROOM
    most = max([*bars.values(), *marks])
    yield _words(left, top + 18, operation, size=13, weight=600)
    for number, (name, value) in enumerate(bars.items()):
        y, long = top + _HEAD + number * _BAR, max(1.0, value / most * room)
        mine = name == goals.OURS
        yield _words(left + _NAMES - 6, y + 13, name, anchor="end", weight=600 if mine else 400)
        yield (
            f'<rect x="{left + _NAMES}" y="{y + 2}" width="{long:.1f}" height="{_BAR - 8}" rx="2" '
            f'fill="{_OURS if mine else _OTHERS}"/>'
        )
        beside = max(long, *(mark / most * room for mark in marks)) if mine and marks else long
        yield _words(left + _NAMES + beside + 5, y + 13, figure(value), ink=_FAINT)
    for value, colour in zip(marks, (_GOAL, _FLOOR), strict=False):
        yield _mark(left + _NAMES + value / most * room, top + _HEAD - 3, _BAR, colour)


def figure(value: float) -> str:
    """Return a number rounded to its significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _mark(x: float, y: float, high: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + high}" stroke="{colour}" stroke-width="2"/>'


def _words(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    weight: int = 400,
    ink: str = _INK,
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{ink}" '
        f'text-anchor="{anchor}">{html.escape(text)}</text>'
    )
