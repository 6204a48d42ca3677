"""Tables on terminals that are wide, narrow or none at all."""

import re
from collections.abc import Sequence

import pytest

from grantledger.entrypoints.cli.output import print_table

ID = "glc_MJ60jKNNj7BKwemOobDqEzT4hry"
ROW = (ID, "An editor with quite a long name that is folded", "2026-11-21 14:38", "active, approved")
COLUMNS = ("client", "name", "registered", "status")


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_table(COLUMNS, [ROW])
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal, whatever the tests run in."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


@pytest.mark.parametrize("width", [72, 80, 100])
def test_an_id_stays_whole_and_nothing_is_cut_off(terminal, capsys, width: int):
    terminal.setenv("COLUMNS", str(width))
    lines = printed(capsys)
    assert lines[1].startswith(f"{ID}  ")
    assert all(len(line) <= width for line in lines)
    assert letters(lines) == letters((*COLUMNS, *ROW))


@pytest.mark.parametrize("width", [30, 44, 60])
def test_where_it_is_narrow_ids_are_folded_too_and_nothing_is_cut_off(terminal, capsys, width: int):
    terminal.setenv("COLUMNS", str(width))
    lines = printed(capsys)
    assert all(len(line) <= width for line in lines)
    assert letters(lines) == letters((*COLUMNS, *ROW))


def letters(texts: Sequence[str]) -> list[str]:
    return sorted("".join(texts).replace(" ", ""))


def test_in_a_pipe_a_row_is_a_line(capsys):
    assert printed(capsys)[1].rstrip() == "  ".join(ROW)
