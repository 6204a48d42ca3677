"""Tables on terminals that are wide, narrow or none at all."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from operator import itemgetter

import pytest
import rich_click as click
from click.testing import CliRunner

from grantledger.application.ports import ListPage
from grantledger.domain.aggregate import Versioned
from grantledger.domain.user_account import USER
from grantledger.entrypoints.cli.output import Part, Record, items_of, print_list, print_table

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
def test_on_a_narrow_terminal_ids_wrap_and_nothing_is_cut_off(terminal, capsys, width: int):
    terminal.setenv("COLUMNS", str(width))
    lines = printed(capsys)
    assert all(len(line) <= width for line in lines)
    assert letters(lines) == letters((*COLUMNS, *ROW))


def letters(texts: Sequence[str]) -> list[str]:
    return sorted("".join(texts).replace(" ", ""))


def test_in_a_pipe_a_row_is_a_line(capsys):
    assert printed(capsys)[1].rstrip() == "  ".join(ROW)


async def two_users(*, after: str | None = None, limit: int = 200) -> ListPage[str]:
    found = [Versioned(kind=USER, key=key, version=1, state=key) for key in ("first", "second")]
    page = found[1 if after else 0 :][:limit]
    return ListPage(items=tuple(page), after="first" if page[-1].key == "first" else None)


def test_a_note_below_the_list_says_that_there_are_more():
    @click.command()
    def users() -> None:
        async def records() -> AsyncIterator[Record]:
            async for key, _ in items_of(two_users, Part(None, 1)):
                yield {"user": key}

        asyncio.run(print_list(records(), as_json=False, columns={"user": itemgetter("user")}, nothing=""))

    lines = CliRunner().invoke(users).output.splitlines()
    assert [line.strip() for line in lines] == [
        "user",
        "first",
        "There are more: continue with --after first, or give --all.",
    ]
