"""The steps of the demo, printed as they pass. The first one that fails ends it."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

_NAME_WIDTH = 16


class WalkEnded(Exception):  # noqa: N818 - a result, not a bug
    """A step failed, and the failure was printed."""


class ExpectationFailed(Exception):  # noqa: N818 - named for the fact
    def __init__(self, expected: str, came: object) -> None:
        super().__init__(f"expected {expected}, but got {came}")
        self.expected = expected
        self.came = came


def expect(expected: str, holds: object, *, came: object) -> None:
    """Raises `ExpectationFailed` unless `holds`."""
    if not holds:
        raise ExpectationFailed(expected, came)


class Step:
    """One step. `seen` is a short phrase that says what the step found."""

    def __init__(self) -> None:
        self.seen = ""


class Steps:
    def __init__(self, console: Console) -> None:
        self._console = console
        unicode = console.encoding.lower().startswith("utf")
        self._tick, self._cross = ("✓", "✗") if unicode else ("ok", "NO")
        self.failed = False

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Print the step when it has passed. Otherwise print what was expected and what came.

        Steps may be nested, because the client calls back while it waits. Raises `WalkEnded`.
        """
        step = Step()
        try:
            yield step
        except Exception as error:
            if not self.failed:  # otherwise an inner step failed and has shown its failure
                self._show_failure(name, _bottom(error))
            raise WalkEnded from error
        self._show(f"[green]{self._tick}[/]", name, step.seen)

    def _show_failure(self, name: str, error: BaseException) -> None:
        self.failed = True
        expected, came = "no error", f"{type(error).__name__}: {error}"
        if isinstance(error, ExpectationFailed):
            expected, came = error.expected, str(error.came)
        self._show(f"[red]{self._cross}[/]", name, "")
        self._console.print(
            f"      expected  {escape(expected)}\n      came      {escape(came)}", soft_wrap=True
        )

    def _show(self, mark: str, name: str, phrase: str) -> None:
        self._console.print(f"  {mark} {name:<{_NAME_WIDTH}} {escape(phrase)}".rstrip(), soft_wrap=True)


def _bottom(error: BaseException) -> BaseException:
    """Return the original error: task groups wrap it in groups of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
